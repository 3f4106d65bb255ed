import { join } from 'node:path';
import type { AuditPoint } from '../../protocol/schemas/audit.ts';
import type { StoreDisk } from '../disk/storeDisk.ts';
import type { Trash } from '../records/trash.ts';
import type { AuditFile } from './auditChain.ts';
import { lastAuditLine, splitLines } from './auditLine.ts';

/** How long an entry stays at least: whole months are removed (S0-61). */
const auditRetentionMs = 90 * 24 * 60 * 60 * 1000;

/** A month of the log that is old enough to be removed. */
export interface ExpiredArchive {
  readonly name: string;
  /** Its last entry: the chain of the next file begins with it. */
  readonly through: AuditPoint;
}

/** `audit/<year>-<month>.jsonl`: months of the log that are over. */
export class AuditArchives {
  readonly #parts: StoreDisk;
  readonly #trash: Trash;

  constructor(parts: StoreDisk, trash: Trash) {
    this.#parts = parts;
    this.#trash = trash;
  }

  /** Oldest first. */
  async names(): Promise<string[]> {
    const names = await this.#parts.files.list(this.#parts.layout.audit);
    return names.filter((name) => archivePattern.test(name)).sort();
  }

  async read(name: string): Promise<AuditFile> {
    const bytes = await this.#parts.writes.readIfThere(this.#path(name));
    return { name: `audit/${name}`, bytes: bytes ?? new Uint8Array() };
  }

  /** Makes the log of this month an archive. */
  async add(month: string): Promise<void> {
    await this.#parts.writes.moveAside(this.#parts.layout.auditLog, this.#path(`${month}.jsonl`));
  }

  /** Whether this log of a month is in an archive already: a crash in the middle of {@link add} left it its old name too. */
  async has(month: string, log: Uint8Array): Promise<boolean> {
    for (const name of await this.names()) {
      if (name.startsWith(month) && Buffer.compare((await this.read(name)).bytes, log) === 0) return true;
    }
    return false;
  }

  /** The oldest archives whose last entry is past its time. An archive that cannot be read stays, and so do all later ones. */
  async expired(): Promise<ExpiredArchive[]> {
    const expired: ExpiredArchive[] = [];
    const oldest = new Date(this.#parts.clock.now().getTime() - auditRetentionMs).toISOString();
    for (const name of await this.names()) {
      // An archive of a later month cannot be old enough, so it need not be read.
      if (name.slice(0, 7) > oldest.slice(0, 7)) break;
      const last = lastAuditLine(splitLines((await this.read(name)).bytes).lines);
      if (last === null || last.at >= oldest) break;
      expired.push({ name, through: { sequence: last.sequence, hash: last.hash } });
    }
    return expired;
  }

  /** Moves it to the trash, because a wrong clock must not cost the log. */
  async discard({ name }: ExpiredArchive): Promise<void> {
    await this.#trash.discard(this.#path(name), `audit-${name}`);
  }

  #path(name: string): string {
    return join(this.#parts.layout.audit, name);
  }
}

const archivePattern = /^\d{4}-\d{2}\.jsonl(?:\.\d+)?$/;
