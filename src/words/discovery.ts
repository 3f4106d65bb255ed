import type { Discovery, FoundFile, FoundServer } from '../protocol/schemas/discovery.ts';
import { formatBytes } from '../base/format.ts';

/** What a kind of model server can do, in one sentence. */
const abilities: Readonly<Record<NonNullable<FoundServer['kind']>, string>> = {
  vllm: 'reuse is measured; frozen KV comes back where the server has a file tier or LMCache',
  'llama-server': 'reuse is measured; frozen KV comes back where it was started with --slot-save-path',
  embedded: 'reuse is measured; frozen KV comes back from files',
  openai: 'conversations and windows; reuse shows only as far as the server reports it',
};

/** A choice as every client shows it. */
export interface EngineOption {
  readonly spec: string;
  readonly label: string;
  readonly description: string;
  readonly detail: string;
}

/** Servers before files: a running one needs no loading. */
export const engineOptions = ({ servers, files }: Pick<Discovery, 'servers' | 'files'>): EngineOption[] => [
  ...servers.map(serverChoice),
  ...files.toSorted((a, b) => Number(b.fits) - Number(a.fits)).map(fileChoice),
];

function serverChoice({ spec, product, kind, version, models, wantsKey }: FoundServer): EngineOption {
  const ids = models.filter(({ use }) => use !== 'other').map(({ id }) => id);
  const more = ids.length > 3 ? ` and ${ids.length - 3} more` : '';
  const [ability, served] = wantsKey
    ? ['it wants an API key', '']
    : [kind === null ? 'it did not say what it is' : abilities[kind], `${ids.slice(0, 3).join(', ')}${more}`];
  return {
    spec,
    label: version === null || version === 'unknown' ? product : `${product} ${version}`,
    description: served === '' ? spec : `${spec} · ${served}`,
    detail: `${ability[0]?.toUpperCase()}${ability.slice(1)}.`,
  };
}

function fileChoice({ spec, source, name, sizeBytes, quantisation, fits }: FoundFile): EngineOption {
  const facts = [formatBytes(sizeBytes), ...(quantisation === null ? [] : [quantisation]), source];
  return {
    spec,
    label: name,
    description: facts.join(' · '),
    detail: fits ? 'Fits into the memory of this machine.' : 'Probably too large for the memory of this machine.',
  };
}
