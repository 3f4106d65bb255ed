/**
 * The text of an answer, piece by piece. It is UTF-8 unless it cannot be: servers declare other character sets and send UTF-8 all the same.
 * Only where the bytes are no UTF-8 the declared set counts, from there on.
 */
export class BodyText {
  readonly #declared: string | null;
  /** Made when a piece comes: it costs as much as reading a small answer. */
  #decoder: InstanceType<typeof TextDecoder> | undefined;
  #isUtf8 = true;
  /** The beginning of a character whose rest has not come. */
  #pending: Uint8Array = new Uint8Array();

  /** @param contentType the header, if there is one. A set that nobody knows is none. */
  constructor(contentType: string | null = null) {
    const named = /;\s*charset\s*=\s*"?([^\s";]+)/i.exec(contentType ?? '')?.[1];
    this.#declared = named === undefined ? null : knownSet(named);
  }

  /** The text of an answer that has come to its end, in place of {@link feed} and {@link end}. */
  whole(bytes: Buffer): string {
    if (this.#declared !== null) return this.feed(bytes) + this.end();
    const text = bytes.toString('utf8');
    return text.startsWith(byteOrderMark) ? text.slice(byteOrderMark.length) : text;
  }

  feed(bytes: Uint8Array): string {
    if (this.#declared === null || !this.#isUtf8) {
      this.#decoder ??= new TextDecoder();
      return this.#decoder.decode(bytes, { stream: true });
    }
    const all = Buffer.concat([this.#pending, bytes]);
    const end = wholeCharacters(all);
    this.#pending = all.subarray(end);
    return this.#utf8(all.subarray(0, end)) ?? this.#switchTo(this.#declared, all);
  }

  /** What is left when nothing more comes. */
  end(): string {
    const rest = this.#pending;
    this.#pending = new Uint8Array();
    if (rest.length > 0 && this.#declared !== null) return this.#switchTo(this.#declared, rest);
    return this.#decoder?.decode() ?? '';
  }

  #utf8(bytes: Uint8Array): string | null {
    try {
      return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
    } catch {
      return null;
    }
  }

  #switchTo(declared: string, bytes: Uint8Array): string {
    this.#isUtf8 = false;
    this.#pending = new Uint8Array();
    this.#decoder = new TextDecoder(declared);
    return this.#decoder.decode(bytes, { stream: true });
  }
}

const byteOrderMark = '\uFEFF';

/** Null for UTF-8, which needs no other decoder, and for what is no name of a set. */
function knownSet(name: string): string | null {
  if (/^utf-?8$/i.test(name)) return null;
  try {
    const { encoding } = new TextDecoder(name);
    return encoding === 'utf-8' ? null : encoding;
  } catch {
    return null;
  }
}

/** How many of these bytes are whole characters, if they are UTF-8. */
function wholeCharacters(bytes: Uint8Array): number {
  for (let back = 1; back <= Math.min(3, bytes.length); back++) {
    const byte = bytes[bytes.length - back] ?? 0;
    if ((byte & 0xc0) === 0x80) continue;
    const wanted = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : byte >= 0xc0 ? 2 : 1;
    return back < wanted ? bytes.length - back : bytes.length;
  }
  return bytes.length;
}
