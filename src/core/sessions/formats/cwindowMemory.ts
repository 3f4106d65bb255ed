import { parseMessageId, type MessageId } from '../../../protocol/ids.ts';
import { isCwmError } from '../../../protocol/errors.ts';
import { memoryRecordSchema } from '../../../protocol/memory/records.ts';
import { memorySettingsSchema } from '../../../protocol/schemas/sessionSettings.ts';
import { sha256Hex } from '../../../base/hash.ts';
import { recordsFor } from '../../memory/pages/recordsFor.ts';
import { arrayOf, objectOf, type FileMemory, type JsonObject, type Transcript } from './said.ts';

export const fileMemory = ({ settings, records }: FileMemory): JsonObject => ({
  settings,
  records,
  sha256: checksum(settings, records),
});

/** How a file remembers: with its records only where each of its messages comes in as it was, under its own id. */
export interface ReadMemory extends FileMemory {
  /** Of the messages, in order; null where there are no records. */
  readonly ids: readonly MessageId[] | null;
}

/**
 * The account that a file has of its conversation's memory. Null: it has none. Records that are no longer about its messages are left out and named.
 *
 * @param isWhole whether the messages come in as they were.
 */
export function readMemory(file: JsonObject, isWhole: boolean, transcript: Transcript): ReadMemory | null {
  const given = objectOf(file['memory']);
  if (!given) return null;
  const settings = memorySettingsSchema.safeParse(given['settings']).data;
  if (!settings) {
    transcript.say('Its virtual memory was left out: its settings are not known to this program.');
    return null;
  }
  const all = arrayOf(given['records']) ?? [];
  const without = { settings, records: [], ids: null };
  if (all.length === 0) return without;
  const ids = isWhole ? idsOf(arrayOf(file['messages']) ?? []) : null;
  const why =
    given['sha256'] !== checksum(given['settings'], all)
      ? 'it was changed since the export'
      : ids === null
        ? 'the messages are not those of the export'
        : null;
  if (why !== null || ids === null) {
    transcript.say(
      `The account of its virtual memory was left out: ${why}. Its summaries are made again when they are needed.`,
    );
    return without;
  }
  const known = all.flatMap((each) => memoryRecordSchema.safeParse(each).data ?? []);
  const { records } = recordsFor(
    ids.map((id, at) => ({ id, sequence: at + 1 })),
    known,
  );
  if (records.length < all.length)
    transcript.say(
      `Records of its virtual memory that do not fit its messages and were left out: ${all.length - records.length}.`,
    );
  return { settings, records, ids };
}

/** Null: one of them is no id, or stands there twice. */
function idsOf(messages: readonly unknown[]): MessageId[] | null {
  const ids = messages.flatMap((message) => {
    const id = objectOf(message)?.['id'];
    try {
      return typeof id === 'string' ? [parseMessageId(id)] : [];
    } catch (error) {
      if (!isCwmError(error)) throw error;
      return [];
    }
  });
  return ids.length === messages.length && new Set(ids).size === ids.length ? ids : null;
}

const checksum = (settings: unknown, records: readonly unknown[]): string =>
  sha256Hex(JSON.stringify([settings, records]));
