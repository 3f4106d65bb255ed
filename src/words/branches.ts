import { formatCount, formatTokens } from '../base/format.ts';
import type { RouteOutput } from '../protocol/api.ts';
import { plural } from './amounts.ts';
import type { Table } from './rows.ts';

type BranchSummary = RouteOutput<'listBranches'>['items'][number];
type BranchComparison = RouteOutput<'compareBranches'>;

/** How much of a branch the model server can reuse from a sibling; empty: nothing. */
export function sharedWords({ sharedTokens, sharedBlocks, sharedWith }: BranchSummary): string {
  if (sharedWith === null) return '';
  const blocks = sharedBlocks === null ? '' : ` (${plural(sharedBlocks, 'KV block')})`;
  return `${formatTokens(sharedTokens)}${blocks} with ${sharedWith}`;
}

export const branchesTable = (branches: readonly BranchSummary[]): Table => ({
  head: ['', 'Branch', 'Messages', 'Tokens', 'Shared', 'System prompt'],
  rows: branches.map((branch) => [
    branch.active ? '*' : '',
    branch.name,
    formatCount(branch.length),
    branch.tokens === null ? 'none yet' : formatCount(branch.tokens),
    sharedWords(branch),
    branch.systemPrompt ?? '',
  ]),
});

export function comparisonSentences({
  sharedMessages,
  sharedTokens,
  sharedBlocks,
  one,
  other,
}: BranchComparison): string[] {
  const blocks = sharedBlocks === null ? '' : `, ${plural(sharedBlocks, 'KV block')}`;
  return [
    `${one.name} and ${other.name} share ${plural(sharedMessages, 'message')} (${formatTokens(sharedTokens)}${blocks}).`,
    `Only ${one.name} has ${plural(one.messages.length, 'message')}: ${one.messages.join(', ') || 'none'}.`,
    `Only ${other.name} has ${plural(other.messages.length, 'message')}: ${other.messages.join(', ') || 'none'}.`,
  ];
}
