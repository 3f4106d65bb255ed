import type * as z from 'zod/mini';
import { sha256Hex } from '../../base/hash.ts';

/**
 * Append-only lines, each `<SHA-256 of the rest>\t<JSON>\n`, as npm's cacache keeps its index: a line that a crash cut short, or whose
 * bits changed, is recognised, and its neighbours stay readable.
 */
export const encodeLines = (values: readonly unknown[]): Uint8Array =>
  Buffer.from(
    values
      .map((value) => JSON.stringify(value))
      .map((json) => `${sha256Hex(json)}\t${json}\n`)
      .join(''),
  );

export interface DecodedLines<T> {
  readonly values: readonly T[];
  /** Where the last whole line ends; the rest is part of a write that was interrupted. */
  readonly wholeBytes: number;
  /** 1-based numbers of whole lines whose checksum is wrong. */
  readonly damagedLines: readonly number[];
}

export function decodeLines<Schema extends z.ZodMiniType>(
  bytes: Uint8Array,
  schema: Schema,
): DecodedLines<z.output<Schema>> {
  const whole = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const wholeBytes = whole.lastIndexOf('\n') + 1;
  const values: z.output<Schema>[] = [];
  const damagedLines: number[] = [];
  const lines = whole.toString('utf8', 0, wholeBytes).split('\n').slice(0, -1);
  lines.forEach((line, index) => {
    const value = decodeLine(line, schema);
    if (value === null) damagedLines.push(index + 1);
    else values.push(value);
  });
  return { values, wholeBytes, damagedLines };
}

function decodeLine<Schema extends z.ZodMiniType>(line: string, schema: Schema): z.output<Schema> | null {
  const json = line.slice(65);
  if (line[64] !== '\t' || sha256Hex(json) !== line.slice(0, 64)) return null;
  const parsed = schema.safeParse(parseJson(json));
  return parsed.success ? parsed.data : null;
}

function parseJson(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch {
    // Its checksum is right, so somebody wrote it; but it is no valid value.
    return undefined;
  }
}
