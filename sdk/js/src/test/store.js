// The key/value store of the test kit. It is as large as the automation asks for, as if all of that were granted.

export class Store {
  #entries;
  #room;

  constructor(contents, room) {
    this.#entries = new Map(Object.entries(contents).map(([key, value]) => [key, JSON.stringify(value)]));
    this.#room = room;
  }

  get(key) {
    this.#granted();
    return this.#entries.get(key) ?? null;
  }

  list(prefix, after, limit) {
    this.#granted();
    return [...this.#entries]
      .map(([key, value]) => ({ key, value, bytes: Buffer.from(key) }))
      .filter(({ key, bytes }) => key.startsWith(prefix) && (after === null || Buffer.compare(bytes, Buffer.from(after)) > 0))
      .sort((one, other) => Buffer.compare(one.bytes, other.bytes))
      .slice(0, Math.min(limit, 256))
      .map(({ key, value }) => ({ key, value }));
  }

  /** Throws if the writes among the actions are not granted or do not fit. */
  check(actions) {
    const writes = actions.filter(({ tag }) => tag === "write-kv");
    if (writes.length === 0) {
      return;
    }
    if (this.#room === 0) {
      throw new Error("it writes to the key/value store but does not ask for one: set wants.kvBytes");
    }
    const entries = new Map(this.#entries);
    for (const { val: { key, value } } of writes) {
      entries.delete(key);
      if (value !== null) {
        entries.set(key, value);
      }
    }
    const size = [...entries].reduce((total, [key, value]) => total + Buffer.byteLength(key) + Buffer.byteLength(value), 0);
    if (size > this.#room) {
      throw new Error(`the key/value store would hold ${size} bytes, but wants.kvBytes asks for ${this.#room}`);
    }
  }

  write(key, value) {
    if (value === null) {
      this.#entries.delete(key);
    } else {
      this.#entries.set(key, value);
    }
  }

  contents() {
    return Object.fromEntries([...this.#entries].map(([key, value]) => [key, JSON.parse(value)]));
  }

  #granted() {
    if (this.#room === 0) {
      throw { tag: "refused", val: "the automation does not ask for a key/value store: set wants.kvBytes" };
    }
  }
}
