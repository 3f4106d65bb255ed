import type { AuditPoint, AuditReport } from '../../protocol/schemas/audit.ts';
import { noLine, parseAuditLine, splitLines, type AuditLine } from './auditLine.ts';

export interface AuditFile {
  /** Path of the file, relative to the storage directory. */
  readonly name: string;
  readonly bytes: Uint8Array;
}

const maxProblems = 100;

/**
 * Follows the chain through all files of the log, oldest first, and names every line that was changed, moved or removed.
 *
 * @param points entries that are known from elsewhere: the remembered end of the log, and an entry that somebody wrote down.
 */
export function checkChain(files: readonly AuditFile[], points: readonly AuditPoint[]): AuditReport {
  const chain = new Chain(points);
  for (const { name, bytes } of files) {
    const { lines, torn } = splitLines(bytes);
    lines.forEach((line, index) => chain.follow({ file: name, line: index + 1 }, line));
    if (torn) chain.report({ file: name, line: lines.length + 1 }, 'It is cut short.');
  }
  return chain.end(files.length, files.at(-1)?.name ?? '');
}

interface Place {
  readonly file: string;
  readonly line: number;
}

class Chain {
  readonly #problems: AuditReport['problems'] = [];
  readonly #expired: AuditPoint[] = [];
  readonly #points: readonly AuditPoint[];
  #entries = 0;
  #first: (AuditLine & { readonly place: Place }) | null = null;
  /** The latest entry in the order of their numbers, and where it stands. */
  #latest: (AuditPoint & { readonly place: Place }) | null = null;
  #unreadableFirst = 0;
  /** The line before was not readable, so nobody knows its hash. */
  #isBroken = false;

  constructor(points: readonly AuditPoint[]) {
    this.#points = points;
  }

  report(place: Place, what: string): void {
    if (this.#problems.length < maxProblems) this.#problems.push({ ...place, what });
  }

  follow(place: Place, text: string): void {
    this.#entries++;
    const line = parseAuditLine(text);
    if (line === null) {
      this.report(place, 'It is not what was written: its checksum does not match.');
      if (this.#latest) this.#latest = { sequence: this.#latest.sequence + 1, hash: '', place };
      else this.#unreadableFirst++;
      this.#isBroken = true;
      return;
    }
    if (line.through) this.#expired.push(line.through);
    this.#first ??= { ...line, place };
    this.#compare(place, line);
    this.#expect(place, line);
    if (!this.#latest || line.sequence > this.#latest.sequence) this.#latest = { ...line, place };
    this.#isBroken = false;
  }

  end(files: number, currentFile: string): AuditReport {
    this.#checkBeginning();
    const latest = this.#latest;
    for (const { sequence } of this.#points) {
      if (sequence > (latest?.sequence ?? 0)) {
        this.report({ file: currentFile, line: 0 }, `${missing((latest?.sequence ?? 0) + 1, sequence)} at the end.`);
      } else if (sequence < (this.#first?.sequence ?? 1)) {
        this.report({ file: currentFile, line: 0 }, `Entry ${sequence} is older than the log that is left.`);
      }
    }
    return {
      healthy: this.#problems.length === 0,
      entries: this.#entries,
      files,
      head: latest && latest.hash !== '' ? { sequence: latest.sequence, hash: latest.hash } : null,
      problems: this.#problems,
    };
  }

  /** Checks an entry against the one before it. */
  #compare(place: Place, line: AuditLine): void {
    const before = this.#latest;
    if (!before) return;
    if (line.sequence <= before.sequence) {
      this.report(place, `It is entry ${line.sequence} and stands behind entry ${before.sequence}.`);
    } else if (line.sequence > before.sequence + 1) {
      this.report(place, `${missing(before.sequence + 1, line.sequence - 1)} before it.`);
    } else if (!this.#isBroken && line.previous !== before.hash) {
      this.report(before.place, 'It was changed: the line behind it was written after another one.');
    }
  }

  /** Checks an entry against the points that are known from elsewhere. */
  #expect(place: Place, line: AuditLine): void {
    if (this.#points.some(({ sequence, hash }) => sequence === line.sequence && hash !== line.hash)) {
      this.report(place, `It was changed: entry ${line.sequence} had another hash.`);
    }
  }

  /** Old months are removed, and an entry says which. Anything else that is missing at the beginning was taken away. */
  #checkBeginning(): void {
    const first = this.#first;
    if (!first) return;
    if (first.sequence === 1) {
      if (first.previous !== noLine)
        this.report(first.place, 'It says that a line was before it, and it is the first.');
      return;
    }
    const before = first.sequence - 1 - this.#unreadableFirst;
    const wasExpired = this.#expired.some(
      ({ sequence, hash }) => sequence === first.sequence - 1 && hash === first.previous,
    );
    if (!wasExpired && before > 0) this.report(first.place, `${missing(1, before)} before it.`);
  }
}

const missing = (from: number, to: number): string =>
  from === to ? `Entry ${from} is missing` : `Entries ${from} to ${to} are missing`;
