import { nullOn } from '../../protocol/errors.ts';
import { sha256Hex } from '../../base/hash.ts';
import { SerialQueue } from '../../base/serialQueue.ts';
import {
  auditPointSchema,
  type AuditEntry,
  type AuditFact,
  type AuditPoint,
  type AuditReport,
} from '../../protocol/schemas/audit.ts';
import { isDeepStrictEqual } from 'node:util';
import type { ClockWatch } from '../disk/clockWatch.ts';
import type { StoreDisk } from '../disk/storeDisk.ts';
import type { Trash } from '../records/trash.ts';
import { AuditArchives } from './auditArchives.ts';
import { checkChain, type AuditFile } from './auditChain.ts';
import {
  firstAuditLine,
  lastAuditLine,
  lastSettings,
  noLine,
  parseAuditLine,
  splitLines,
  type AuditLine,
} from './auditLine.ts';

type AuditSettings = NonNullable<AuditFact['settings']>;

/**
 * Who changed what: `audit.jsonl`, append-only lines of which each names the hash of the one before, over all months. A file beside it
 * remembers where the log ends, so that lines taken from its end are noticed too. A gap is never smoothed over: the log continues after
 * the entry that was the last one.
 *
 * It shows every change, unless somebody also rewrites all later lines and `audit/head.json`. A hash that was written down elsewhere
 * shows even that.
 */
export class AuditLog {
  readonly #parts: StoreDisk;
  readonly #archives: AuditArchives;
  readonly #clockWatch: ClockWatch;
  readonly #queue = new SerialQueue();
  readonly #pending: AuditFact[] = [];
  #writing: Promise<void> | null = null;
  #saving: Promise<void> | null = null;
  #head: AuditPoint | null = null;
  #savedHead: AuditPoint | null = null;
  /** Month of the first entry in the current file, like `2026-03`; null when there is none. */
  #month: string | null = null;
  #mayHaveExpired = true;
  #lost = 0;
  #settings: AuditSettings | null = null;

  constructor(parts: StoreDisk, trash: Trash, clockWatch: ClockWatch) {
    this.#clockWatch = clockWatch;
    this.#parts = parts;
    this.#archives = new AuditArchives(parts, trash);
  }

  /**
   * Finds where the log ends, repairs what a crash left and removes old months. Part of opening the store; a log that cannot be read
   * does not prevent that.
   */
  async open(): Promise<void> {
    const facts = await this.#queue.run(async () => {
      try {
        return await this.#findEnd();
      } catch (error) {
        this.#parts.quarantine.note(this.#parts.layout.auditLog, `It could not be read (${codeOf(error)}).`);
        return [];
      }
    });
    await this.#append(facts);
  }

  /**
   * Adds entries, in this order; when it resolves they are on the disk. Never rejects, because the events have happened: entries that
   * cannot be written are counted in the next one, and reported as a problem of the store.
   */
  async append(facts: readonly AuditFact[]): Promise<void> {
    if (facts.length > 0) await this.#append(facts);
  }

  /** Adds an entry when the latest settings in this month's log are different. */
  async recordSettings(settings: AuditSettings): Promise<void> {
    if (isDeepStrictEqual(this.#settings, settings)) return;
    this.#settings = settings;
    await this.append([ownFact('CONFIG_CHANGE', { settings })]);
  }

  /** @param known an entry that was noted down elsewhere. */
  verify(signal: AbortSignal, known: AuditPoint | null = null): Promise<AuditReport> {
    return this.#queue.run(async () => {
      if (this.#parts.isReadOnly) this.#head = await this.#readHead();
      const files: AuditFile[] = [];
      for (const name of await this.#archives.names()) {
        signal.throwIfAborted();
        files.push(await this.#archives.read(name));
      }
      const bytes = await this.#parts.writes.readIfThere(this.#parts.layout.auditLog);
      if (bytes !== null) files.push({ name: 'audit.jsonl', bytes });
      return checkChain(
        files,
        [this.#head, known].filter((point) => point !== null),
      );
    }, signal);
  }

  /** Waits for what is being written. */
  close(): Promise<void> {
    return this.#queue.run(() => this.#saveHead());
  }

  #append(facts: readonly AuditFact[]): Promise<void> {
    this.#pending.push(...facts);
    // Entries that arrive during a write are written together by the next one.
    this.#writing ??= this.#queue.run(() => {
      this.#writing = null;
      return this.#write(this.#pending.splice(0));
    });
    return this.#writing;
  }

  async #write(facts: readonly AuditFact[]): Promise<void> {
    const { quarantine, layout, lines, clock } = this.#parts;
    try {
      await this.#startMonth();
      const looks = this.#mayHaveExpired && (await this.#clockWatch.isSteady());
      const expired = looks ? await this.#archives.expired() : [];
      const all = [...expired.map(({ through }) => ownFact('LOG_EXPIRED', { through })), ...facts];
      if (all.length > 0) {
        const at = clock.now().toISOString();
        const { entries, head } = this.#chained(all, at);
        await lines.append(layout.auditLog, entries);
        this.#head = head;
        this.#month ??= at.slice(0, 7);
        this.#lost = 0;
        void this.#saveHead();
      }
      if (looks) this.#mayHaveExpired = false;
      for (const archive of expired) await this.#discard(archive.name, () => this.#archives.discard(archive));
    } catch (error) {
      this.#lost += facts.length;
      quarantine.note(layout.auditLog, `Entries could not be written (${codeOf(error)}).`);
    }
  }

  #chained(facts: readonly AuditFact[], at: string): { readonly entries: readonly AuditEntry[]; head: AuditPoint } {
    let head = this.#head ?? { sequence: 0, hash: noLine };
    const entries = facts.map((fact, index): AuditEntry => {
      const entry = {
        sequence: head.sequence + 1,
        at,
        previous: head.hash,
        ...fact,
        ...(index === 0 && this.#lost > 0 ? { lost: this.#lost } : {}),
      };
      head = { sequence: entry.sequence, hash: sha256Hex(JSON.stringify(entry)) };
      return entry;
    });
    return { entries, head };
  }

  /** A new month gets a new file. A log that cannot be moved just grows on. */
  async #startMonth(): Promise<void> {
    const { clock, quarantine, layout, lines } = this.#parts;
    if (this.#month === null || clock.now().toISOString().slice(0, 7) <= this.#month) return;
    try {
      await lines.mend(layout.auditLog);
      await this.#archives.add(this.#month);
      lines.forget(layout.auditLog);
      this.#month = null;
      this.#mayHaveExpired = true;
    } catch (error) {
      quarantine.note(layout.auditLog, `The months before could not be moved into an archive (${codeOf(error)}).`);
    }
  }

  async #discard(name: string, discard: () => Promise<void>): Promise<void> {
    try {
      await discard();
    } catch (error) {
      this.#parts.quarantine.note(
        this.#parts.layout.auditLog,
        `The archive ${name} could not be moved away (${codeOf(error)}).`,
      );
    }
  }

  /** Saves where the log ends. Only closing waits for it: entries continue during a save, and the next save covers them all. */
  #saveHead(): Promise<void> {
    this.#saving ??= this.#saveHeads().finally(() => {
      this.#saving = null;
    });
    return this.#saving;
  }

  async #saveHeads(): Promise<void> {
    try {
      for (let head = this.#head; head !== null && head !== this.#savedHead; head = this.#head) {
        await this.#parts.records.write(this.#parts.layout.auditHead, head);
        this.#savedHead = head;
      }
    } catch (error) {
      this.#parts.quarantine.note(this.#parts.layout.auditHead, `It could not be written (${codeOf(error)}).`);
    }
  }

  /** The head becomes the last entry in the files, or the remembered one when that is later. @returns entries about what it found. */
  async #findEnd(): Promise<AuditFact[]> {
    const { layout, quarantine } = this.#parts;
    this.#savedHead = await this.#readHead();
    this.#head = this.#savedHead;
    const isMended = await this.#parts.lines.mend(layout.auditLog);
    const lines = await this.#currentLines();
    this.#month = firstAuditLine(lines)?.at.slice(0, 7) ?? null;
    this.#settings = lastSettings(lines);
    const found = lastAuditLine(lines) ?? (await this.#lastArchived());
    const facts = isMended ? [ownFact('LOG_REPAIRED')] : [];
    const [written, there] = [this.#savedHead?.sequence ?? 0, found?.sequence ?? 0];
    if (found && there > written) this.#head = { sequence: found.sequence, hash: found.hash };
    if (there < written) {
      quarantine.note(layout.auditLog, `It ends with entry ${there}, and entry ${written} had been written.`);
      facts.push(ownFact('LOG_DAMAGED'));
    }
    return facts;
  }

  #readHead(): Promise<AuditPoint | null> {
    const { records, layout } = this.#parts;
    return nullOn(records.read(layout.auditHead, auditPointSchema), 'Corrupted');
  }

  async #currentLines(): Promise<readonly string[]> {
    const { writes, files, layout } = this.#parts;
    const bytes = (await writes.readIfThere(layout.auditLog)) ?? new Uint8Array();
    const { lines } = splitLines(bytes);
    const month = parseAuditLine(lines[0] ?? '')?.at.slice(0, 7);
    if (month === undefined || !(await this.#archives.has(month, bytes))) return lines;
    await files.remove(layout.auditLog);
    await files.syncDirectory(layout.root);
    return [];
  }

  async #lastArchived(): Promise<AuditLine | null> {
    const newest = (await this.#archives.names()).at(-1);
    return newest === undefined ? null : lastAuditLine(splitLines((await this.#archives.read(newest)).bytes).lines);
  }
}

/** An entry about the store itself. */
export const ownFact = (event: AuditFact['event'], more: Partial<AuditFact> = {}): AuditFact => ({
  event,
  outcome: 'ok',
  client: 'backend',
  ...more,
});

const codeOf = (error: unknown): string =>
  error instanceof Error && 'code' in error ? String(error.code) : error instanceof Error ? error.name : typeof error;
