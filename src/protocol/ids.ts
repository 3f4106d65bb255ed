import type { Brand } from '../base/brand.ts';
import { CwmError, type ErrorName } from './errors.ts';

/** Names one conversation: `^[A-Za-z0-9_-]{1,64}$`, a UUID v4 unless the user chose it (S0-24). */
export type SessionId = Brand<string, 'SessionId'>;
/** Names one saved window: `^[A-Za-z0-9_-]{1,128}$` (S0-24). */
export type WindowName = Brand<string, 'WindowName'>;
export type MessageId = Brand<string, 'MessageId'>;
/** Names a session and all its clones: they share one cache salt. */
export type LineageId = Brand<string, 'LineageId'>;
/** Names a system prompt: 1 to 64 of the characters of a session id. */
export type PromptId = Brand<string, 'PromptId'>;
/** The canonical URI of a project's folder, as `file:///…` without a trailing slash. */
export type ProjectUri = Brand<string, 'ProjectUri'>;

export const maxSessionIdLength = 64;
export const maxWindowNameLength = 128;
const maxProjectUriLength = 4096;
const maxTags = 10;
const maxTagLength = 32;
const maxDescriptionLength = 1000;

/** Words that name something else in paths, queries or scripts; refused in any case (S0-24). */
const reserved = new Set([
  'metadata',
  'blocks',
  'index',
  'schema',
  'version',
  'null',
  'undefined',
  'none',
  'true',
  'false',
]);

/** @throws CwmError InvalidSessionId when it is not a session id. Trims and NFKC-normalises first. */
export const parseSessionId = (value: string): SessionId =>
  parseName(value, maxSessionIdLength, 'InvalidSessionId', 'session id') as SessionId;

/** @throws CwmError InvalidWindowName when it is not a window name. Trims and NFKC-normalises first. */
export const parseWindowName = (value: string): WindowName =>
  parseName(value, maxWindowNameLength, 'InvalidWindowName', 'window name') as WindowName;

/** @throws CwmError InvalidParameter when it is not a message id: 1 to 128 of the characters of a session id. */
export const parseMessageId = (value: string): MessageId =>
  parseName(value, maxWindowNameLength, 'InvalidParameter', 'message id') as MessageId;

/** @throws CwmError InvalidParameter when it is not the name of a branch: 1 to 64 of the characters of a session id. */
export const parseBranchName = (value: string): string =>
  parseName(value, maxSessionIdLength, 'InvalidParameter', 'name of the branch');

/** @throws CwmError InvalidParameter when it is not a lineage id: 1 to 128 of the characters of a session id. */
export const parseLineageId = (value: string): LineageId =>
  parseName(value, maxWindowNameLength, 'InvalidParameter', 'lineage id') as LineageId;

/** @throws CwmError InvalidParameter when it is not the id of a prompt: 1 to 64 of the characters of a session id. */
export const parsePromptId = (value: string): PromptId =>
  parseName(value, maxSessionIdLength, 'InvalidParameter', 'id of the prompt') as PromptId;

/** @throws CwmError InvalidParameter when one is too long, empty or has other characters, or there are more than {@link maxTags}. */
export function parseTags(values: readonly string[]): string[] {
  if (values.length > maxTags)
    throw new CwmError('InvalidParameter', `${values.length} tags were given; the limit is ${maxTags}.`);
  return [...new Set(values.map((value) => parseName(value, maxTagLength, 'InvalidParameter', 'tag')))];
}

/** @throws CwmError InvalidParameter when it is longer than {@link maxDescriptionLength} characters. */
export function parseDescription(value: string): string {
  const text = value.normalize('NFKC').trim();
  if (text.length <= maxDescriptionLength) return text;
  throw new CwmError(
    'InvalidParameter',
    `The description has ${text.length} characters; the limit is ${maxDescriptionLength}.`,
  );
}

/** @throws CwmError InvalidParameter when it is no URI. A trailing slash is dropped, so that one folder has one name. */
export function parseProjectUri(value: string): ProjectUri {
  const uri = value.trim();
  if (!/^[a-z][a-z0-9+.-]*:\/\/\S+$/i.test(uri) || uri.length > maxProjectUriLength) {
    throw new CwmError('InvalidParameter', `${JSON.stringify(shorten(uri))} is not the URI of a folder.`);
  }
  return uri.replace(/\/+$/, '') as ProjectUri;
}

function parseName(value: string, maxLength: number, code: ErrorName, what: string): string {
  const name = value.normalize('NFKC').trim();
  if (name.length === 0) throw new CwmError(code, `The ${what} is empty.`);
  if (name.length > maxLength)
    throw new CwmError(code, `The ${what} has ${name.length} characters; at most ${maxLength} are allowed.`);
  if (!/^[A-Za-z0-9_-]+$/.test(name))
    throw new CwmError(
      code,
      `The ${what} ${JSON.stringify(shorten(name))} has characters other than letters, digits, "_" and "-".`,
    );
  if (reserved.has(name.toLowerCase())) throw new CwmError(code, `The ${what} "${name}" is a reserved word.`);
  return name;
}

const shorten = (text: string): string => (text.length > 40 ? `${text.slice(0, 40)}…` : text);
