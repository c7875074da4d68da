// UTF-8 by hand, because the component's JavaScript has no TextEncoder.

/** Lone surrogates become U+FFFD. */
export function encode(text) {
  const bytes = [];
  for (const character of text) {
    let point = character.codePointAt(0);
    if (point >= 0xd800 && point <= 0xdfff) {
      point = 0xfffd;
    }
    if (point < 0x80) {
      bytes.push(point);
    } else if (point < 0x800) {
      bytes.push(0xc0 | (point >> 6), 0x80 | (point & 0x3f));
    } else if (point < 0x10000) {
      bytes.push(0xe0 | (point >> 12), 0x80 | ((point >> 6) & 0x3f), 0x80 | (point & 0x3f));
    } else {
      bytes.push(0xf0 | (point >> 18), 0x80 | ((point >> 12) & 0x3f), 0x80 | ((point >> 6) & 0x3f), 0x80 | (point & 0x3f));
    }
  }
  return Uint8Array.from(bytes);
}

/** Bytes that are not UTF-8 become U+FFFD, one each. */
export function decode(bytes) {
  let text = "";
  let i = 0;
  while (i < bytes.length) {
    const first = bytes[i];
    const length = first < 0x80 ? 1 : first >= 0xc2 && first < 0xe0 ? 2 : first >= 0xe0 && first < 0xf0 ? 3 : first >= 0xf0 && first < 0xf5 ? 4 : 0;
    let point = length === 1 ? first : length === 0 ? -1 : first & (0x7f >> length);
    for (let k = 1; k < length && point >= 0; k += 1) {
      const next = bytes[i + k];
      point = next !== undefined && (next & 0xc0) === 0x80 ? (point << 6) | (next & 0x3f) : -1;
    }
    const overlong = (length === 3 && point < 0x800) || (length === 4 && point < 0x10000);
    if (point < 0 || overlong || point > 0x10ffff || (point >= 0xd800 && point <= 0xdfff)) {
      text += "\ufffd";
      i += 1;
    } else {
      text += String.fromCodePoint(point);
      i += length;
    }
  }
  return text;
}
