import type { Discovery, FoundFile, FoundServer } from '../protocol/schemas/discovery.ts';
import { formatBytes } from '../base/format.ts';

/** What a kind of model server can do, in one sentence. */
const abilities: Readonly<Record<NonNullable<FoundServer['kind']>, string>> = {
  vllm: 'Reuse is measured; frozen KV comes back where the server has a file tier or LMCache.',
  'llama-server': 'Reuse is measured; frozen KV comes back where it was started with --slot-save-path.',
  embedded: 'Reuse is measured; frozen KV comes back from files.',
  openai: 'Conversations and windows; reuse shows only as far as the server reports it.',
};

/** What people choose between. */
export type EngineGroup = 'servers' | 'files' | 'other';

export const engineGroupTitles: Readonly<Record<EngineGroup, string>> = {
  servers: 'servers that answer',
  files: 'model files',
  other: 'other',
};

/** A choice as every client shows it. */
export interface EngineOption {
  readonly group: EngineGroup;
  readonly spec: string;
  readonly label: string;
  readonly description: string;
  readonly detail: string;
}

/** Servers before files, because a running one needs no loading; what works without either comes last. */
export const engineOptions = ({ servers, files, defaultEngine }: Discovery): EngineOption[] =>
  [
    ...servers.map(serverChoice),
    ...files.toSorted((a, b) => Number(b.fits) - Number(a.fits)).map(fileChoice),
    generatedModel,
  ].map((choice) =>
    choice.spec === defaultEngine
      ? { ...choice, description: `${choice.description} · in use for new sessions` }
      : choice,
  );

/** Said where nothing of this machine can be offered; null otherwise. */
export const nothingFound = ({ servers, files }: Pick<Discovery, 'servers' | 'files'>): string | null =>
  servers.length + files.length > 0
    ? null
    : 'No model server answers on this machine, and no model file of another program was found.';

function serverChoice({ spec, product, kind, version, models, wantsKey }: FoundServer): EngineOption {
  const ids = models.filter(({ use }) => use !== 'other').map(({ id }) => id);
  const more = ids.length > 3 ? ` and ${ids.length - 3} more` : '';
  const [url = spec, places] = spec.split('#');
  const served = wantsKey || ids.length === 0 ? [] : [`${ids.slice(0, 3).join(', ')}${more}`];
  return {
    group: 'servers',
    spec,
    label: version === null || version === 'unknown' ? product : `${product} ${version}`,
    description: [...served, url].join(' · '),
    detail: abilityOf(kind, places !== undefined, wantsKey),
  };
}

/** @param storesFiles whether its folder of KV files was found. */
function abilityOf(kind: FoundServer['kind'], storesFiles: boolean, wantsKey: boolean): string {
  if (wantsKey) return 'It wants an API key.';
  if (kind === null) return 'It did not say what it is.';
  return abilities[storesFiles ? 'embedded' : kind];
}

function fileChoice({ spec, source, name, sizeBytes, quantisation, fits }: FoundFile): EngineOption {
  const facts = [formatBytes(sizeBytes), ...(quantisation === null ? [] : [quantisation]), source];
  return {
    group: 'files',
    spec,
    label: name,
    description: facts.join(' · '),
    detail: fits ? 'Fits into the memory of this machine.' : 'Probably too large for the memory of this machine.',
  };
}

const generatedModel: EngineOption = {
  group: 'other',
  spec: 'embedded',
  label: 'Generated model',
  description: 'embedded',
  detail: 'To try freeze and thaw without a model: its KV cache is real, its text is noise.',
};
