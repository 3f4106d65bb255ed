import { CwmError } from './errors.ts';

/** What a user names a model server by: `URL`, `URL#name=place&…`, `embedded` or `embedded:FILE`. */
export type EngineSpec =
  | {
      readonly kind: 'url';
      /** Without what stands behind "#". */
      readonly url: string;
      /** Absolute paths, URLs and the model's name by what the spec calls them, from behind "#": `#slots=/path&…`. */
      readonly places: Readonly<Record<string, string>>;
    }
  /** `modelFile: null` is the generated model. */
  | { readonly kind: 'embedded'; readonly modelFile: string | null };

/** `socket` is a Unix socket (`ipc:///PATH`) or a loopback address (`tcp://127.0.0.1:PORT`). */
export type PlaceKind = 'folder' | 'url' | 'socket' | 'name';

export interface EngineSpecRules {
  /** What may stand behind the "#" of a URL. */
  readonly places: ReadonlyMap<string, PlaceKind>;
  /** By the rules of this machine. */
  readonly isAbsolute: (path: string) => boolean;
}

/** Stands for a folder that must not be used, nor looked for: `#slots=off`. */
export const noFolder = 'off';

const embedded = 'embedded';
const filePrefix = `${embedded}:`;
const modelPlace = 'model=';

/** Whether the spec names the engine that the backend itself runs. */
export const isEmbedded = (spec: string): boolean => spec === embedded || spec.startsWith(filePrefix);

/** The spec with the model file's path made absolute: the backend runs in another directory than the client. */
export const withAbsoluteModel = (spec: string, absolute: (path: string) => string): string =>
  spec.startsWith(filePrefix) ? filePrefix + absolute(spec.slice(filePrefix.length)) : spec;

/** The spec with the model to use of a server that has several, in place of one that it names; null where the spec is no URL. */
export function withModel(spec: string, model: string): string | null {
  const server = splitModel(spec)?.server;
  if (server === undefined) return null;
  return `${server}${server.includes('#') ? '&' : '#'}${modelPlace}${encodeURIComponent(model)}`;
}

/** The spec of a server at a URL with these folders behind the "#". */
export function withPlaces(url: string, places: Readonly<Record<string, string>>): string {
  // encodeURI leaves what separates places as it is.
  const encoded = (folder: string): string => encodeURI(folder).replaceAll('&', '%26').replaceAll('#', '%23');
  const pairs = Object.entries(places).map(([name, folder]) => `${name}=${encoded(folder)}`);
  return pairs.length === 0 ? url : `${url}#${pairs.join('&')}`;
}

/** A server's spec without the model that it names, and that model, null where it names none; null where the spec is no URL. */
export function splitModel(spec: string): { readonly server: string; readonly model: string | null } | null {
  if (!/^https?:/i.test(spec)) return null;
  const [url = '', behind = ''] = spec.split(/#(.*)/su);
  const places = behind.split('&').filter((place) => place !== '');
  const others = places.filter((place) => !place.startsWith(modelPlace));
  const named = places.find((place) => place.startsWith(modelPlace));
  return {
    server: others.length === 0 ? url : `${url}#${others.join('&')}`,
    model: named === undefined ? null : decode(named.slice(modelPlace.length)),
  };
}

/**
 * @throws CwmError InvalidParameter when it is neither an http(s) URL nor `embedded` nor `embedded:FILE` with an absolute path, or names
 *   a place that the rules do not know.
 */
export function parseEngineSpec(spec: string, rules: EngineSpecRules): EngineSpec {
  if (spec === embedded) return { kind: embedded, modelFile: null };
  if (spec.startsWith(filePrefix)) {
    const modelFile = spec.slice(filePrefix.length);
    if (rules.isAbsolute(modelFile)) return { kind: embedded, modelFile };
    throw badSpec(`The model file of the engine ${show(spec)} is not an absolute path.`);
  }
  const url = URL.canParse(spec) ? new URL(spec) : null;
  if (url?.protocol !== 'http:' && url?.protocol !== 'https:') throw badSpec(`${show(spec)} names no engine.`);
  if (url.username !== '' || url.password !== '') {
    throw badSpec("An engine's URL must not contain a user name or a password.");
  }
  if (url.search !== '') throw badSpec("An engine's URL must not have a query: a key in it would end up in records.");
  return { kind: 'url', url: spec.replace(/#.*$/su, ''), places: parsePlaces(url.hash.slice(1), rules) };
}

/** `name=/path` and `name=http://…` pairs joined by "&". Unlike in a query, "+" is no space: paths contain it. */
function parsePlaces(text: string, { places: kinds, isAbsolute }: EngineSpecRules): Record<string, string> {
  const places: Record<string, string> = {};
  for (const pair of text === '' ? [] : text.split('&')) {
    const equals = pair.indexOf('=');
    const name = pair.slice(0, Math.max(0, equals));
    const kind = kinds.get(name);
    if (kind === undefined) {
      const known = [...kinds.keys()].join(', ');
      throw badSpec(`${show(pair)} behind the "#" is unknown; ${known} can stand there.`);
    }
    const given = pair.slice(equals + 1);
    const place = decode(given);
    if (kind === 'folder' && place !== noFolder && (place === null || !isAbsolute(place))) {
      throw badSpec(`The folder "${name}" of the engine is not an absolute path: ${show(given)}.`);
    }
    if (kind === 'url' && (place === null || !isHttpUrl(place))) {
      throw badSpec(`"${name}" of the engine is not an http or https URL without a password.`);
    }
    if (kind === 'socket' && (place === null || !isOwnSocket(place))) {
      throw badSpec(
        `"${name}" of the engine is neither ipc:///PATH nor tcp://127.0.0.1:PORT: what is sent there must not leave this machine.`,
      );
    }
    if (kind === 'name' && (place === null || !/\S/.test(place) || /\p{Cc}/u.test(place) || !place.isWellFormed())) {
      throw badSpec(`"${name}" of the engine is no name: ${show(given)}.`);
    }
    places[name] = place ?? '';
  }
  return places;
}

/** Without a password, which would end up in records and messages. */
function isHttpUrl(text: string): boolean {
  if (!URL.canParse(text)) return false;
  const { protocol, username, password } = new URL(text);
  return /^https?:$/.test(protocol) && username === '' && password === '';
}

/** `ipc:///PATH`, or a port of the loopback address: salts travel there in the clear. */
const isOwnSocket = (text: string): boolean =>
  /^ipc:\/\/\/[^\0]+$/.test(text) ||
  (/^tcp:\/\/(?:127\.0\.0\.1|localhost|\[::1\]):[1-9]\d{0,4}$/.test(text) && URL.canParse(text));

function decode(text: string): string | null {
  try {
    return decodeURIComponent(text);
  } catch {
    return null;
  }
}

const badSpec = (message: string): CwmError =>
  new CwmError('InvalidParameter', message, {
    hint: 'Give the URL of a model server (http://host:port), "embedded", or "embedded:" and the path of a GGUF file.',
    context: { parameter: 'engine' },
  });

const show = (spec: string): string => JSON.stringify(spec.length > 200 ? `${spec.slice(0, 200)}…` : spec);
