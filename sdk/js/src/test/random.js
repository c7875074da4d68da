// Random numbers with a seed (splitmix64): the same script draws the same numbers.

export function createRandom(seed) {
  let state = BigInt(seed);
  return (length) => {
    const bytes = new Uint8Array(length);
    for (let i = 0; i < length; i += 8) {
      state = (state + 0x9e3779b97f4a7c15n) & 0xffffffffffffffffn;
      let word = state;
      word = ((word ^ (word >> 30n)) * 0xbf58476d1ce4e5b9n) & 0xffffffffffffffffn;
      word = ((word ^ (word >> 27n)) * 0x94d049bb133111ebn) & 0xffffffffffffffffn;
      word ^= word >> 31n;
      for (let k = i; k < Math.min(i + 8, length); k += 1) {
        bytes[k] = Number(word & 0xffn);
        word >>= 8n;
      }
    }
    return bytes;
  };
}
