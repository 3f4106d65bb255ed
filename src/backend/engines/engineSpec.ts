import { isAbsolute } from 'node:path';
import { CwmError } from '../../protocol/errors.ts';

/** What a user names an engine by. `modelFile: null` is the generated model. */
export type EngineSpec =
  | { readonly kind: 'url'; readonly url: string }
  | { readonly kind: 'embedded'; readonly modelFile: string | null };

const filePrefix = 'embedded:';

/** @throws CwmError CWM-1003 when it is neither an http(s) URL nor `embedded` nor `embedded:FILE` with an absolute path. */
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
  return { kind: 'url', url: spec };
}

const badSpec = (message: string): CwmError =>
  new CwmError('CWM-1003', message, {
    hint: 'Give the URL of a model server (http://host:port), "embedded", or "embedded:" and the path of a GGUF file.',
    context: { parameter: 'engine' },
  });

const show = (spec: string): string => JSON.stringify(spec.length > 200 ? `${spec.slice(0, 200)}…` : spec);
