import { isAbsolute } from 'node:path';
import { CwmError } from '../../protocol/errors.ts';
import { engineAdapters } from './adapters.ts';

/** What a user names an engine by. `modelFile: null` is the generated model. */
export type EngineSpec =
  | {
      readonly kind: 'url';
      /** Without what stands behind "#". */
      readonly url: string;
      /** Absolute paths by name, from behind "#": `#slots=/path&…`. */
      readonly folders: Readonly<Record<string, string>>;
    }
  | { readonly kind: 'embedded'; readonly modelFile: string | null };

const filePrefix = 'embedded:';
const folderNames: ReadonlySet<string> = new Set(engineAdapters.flatMap(({ folders }) => folders));

/**
 * @throws CwmError CWM-1003 when it is neither an http(s) URL nor `embedded` nor `embedded:FILE` with an absolute path, or names
 * a folder that no engine knows.
 */
export function parseEngineSpec(spec: string): EngineSpec {
  if (spec === 'embedded') return { kind: 'embedded', modelFile: null };
  if (spec.startsWith(filePrefix)) {
    const modelFile = spec.slice(filePrefix.length);
    if (isAbsolute(modelFile)) return { kind: 'embedded', modelFile };
    throw badSpec(`The model file of the engine ${show(spec)} is not an absolute path.`);
  }
  const url = URL.canParse(spec) ? new URL(spec) : null;
  if (url?.protocol !== 'http:' && url?.protocol !== 'https:') throw badSpec(`${show(spec)} names no engine.`);
  if (url.username !== '' || url.password !== '') throw badSpec("An engine's URL must hold no user name or password.");
  return { kind: 'url', url: spec.replace(/#.*$/su, ''), folders: parseFolders(url.hash.slice(1)) };
}

/** `name=/path` pairs joined by "&". Not as in a query, where "+" is a space: paths have it. */
function parseFolders(text: string): Record<string, string> {
  const folders: Record<string, string> = {};
  for (const pair of text === '' ? [] : text.split('&')) {
    const equals = pair.indexOf('=');
    const name = pair.slice(0, Math.max(0, equals));
    const path = decode(pair.slice(equals + 1));
    if (!folderNames.has(name)) {
      throw badSpec(`${show(pair)} behind the "#" names no folder of an engine; ${[...folderNames].join(', ')} can.`);
    }
    if (path === null || !isAbsolute(path)) {
      throw badSpec(`The folder "${name}" of the engine is not an absolute path: ${show(pair.slice(equals + 1))}.`);
    }
    folders[name] = path;
  }
  return folders;
}

function decode(text: string): string | null {
  try {
    return decodeURIComponent(text);
  } catch {
    return null;
  }
}

const badSpec = (message: string): CwmError =>
  new CwmError('CWM-1003', message, {
    hint: 'Give the URL of a model server (http://host:port), "embedded", or "embedded:" and the path of a GGUF file.',
    context: { parameter: 'engine' },
  });

const show = (spec: string): string => JSON.stringify(spec.length > 200 ? `${spec.slice(0, 200)}…` : spec);
