import type { CapabilityName } from '../protocol/schemas/capabilities.ts';

/** What a model server can or cannot do, in the order in which clients show it. */
export const capabilityTitles: Readonly<Record<CapabilityName, string>> = {
  ready: 'Ready to work',
  reuse: 'Reuses a repeated context',
  'reuse-told': 'Says how much it reused',
  isolation: 'Keeps conversations apart',
  'block-size': 'Size of a KV block',
  'token-ids': 'Returns exact token ids',
  canary: 'Gives log-probabilities',
  tokenizer: 'Tokenizes on request',
  insight: 'Reports what happens inside',
  persistence: 'Keeps KV over a restart',
  'block-files': 'KV files can be checked here',
  'block-events': 'Names the KV blocks that it reused',
};
