import * as z from 'zod/mini';
import { sha256Hex } from '../../base/hash.ts';
import { auditFactSchema, auditPointSchema, type AuditFact, type AuditPoint } from '../../protocol/schemas/audit.ts';

/** The hash that the first entry names for the line before it. */
export const noLine = '0'.repeat(64);

/** The fields that the chain needs: a later version may have more fields, and other events. */
const linkSchema = z.object({
  sequence: z.number(),
  at: z.string(),
  previous: z.string(),
  through: z.optional(auditPointSchema),
});

export interface AuditLine extends AuditPoint {
  readonly at: string;
  readonly previous: string;
  readonly through: AuditPoint | null;
}

/** The lines of a log file as text, without their newlines, and whether a crash left a part of a line at the end. */
export function splitLines(bytes: Uint8Array): { readonly lines: readonly string[]; readonly torn: boolean } {
  const lines = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8').split('\n');
  const rest = lines.pop();
  return { lines, torn: rest !== '' };
}

/** @returns null when the line is not what was written: `<SHA-256 of the rest>\t<JSON>`, as `lines.ts` writes them. */
export function parseAuditLine(line: string): AuditLine | null {
  const [hash, json] = [line.slice(0, 64), line.slice(65)];
  if (line[64] !== '\t' || sha256Hex(json) !== hash) return null;
  const parsed = linkSchema.safeParse(parseJson(json));
  if (!parsed.success) return null;
  const { sequence, at, previous, through = null } = parsed.data;
  return { sequence, hash, at, previous, through };
}

/** The first line that is whole. */
export function firstAuditLine(lines: readonly string[]): AuditLine | null {
  for (const text of lines) {
    const line = parseAuditLine(text);
    if (line) return line;
  }
  return null;
}

/** The last line that is whole, from the end. */
export function lastAuditLine(lines: readonly string[]): AuditLine | null {
  for (let at = lines.length - 1; at >= 0; at--) {
    const line = parseAuditLine(lines[at]!);
    if (line) return line;
  }
  return null;
}

/** The settings in the latest entry about the backend's settings. */
export function lastSettings(lines: readonly string[]): NonNullable<AuditFact['settings']> | null {
  const line = lines.findLast((text) => text.includes('"event":"CONFIG_CHANGE"') && parseAuditLine(text) !== null);
  const parsed = line === undefined ? null : auditFactSchema.safeParse(parseJson(line.slice(65)));
  return parsed?.data?.settings ?? null;
}

function parseJson(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch {
    // Its checksum is right, so somebody wrote it; but it is no entry.
    return null;
  }
}
