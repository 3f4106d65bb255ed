import type { MemoryPage } from '../../../protocol/memory/page.ts';
import { derivedHint, hintOf } from '../page.ts';
import type { ConversationPages } from './conversationPages.ts';

/** Pages that are not in the prompt and are listed (S1-62). */
const mostAvailable = 50;

interface Manifest {
  readonly working_set: readonly {
    readonly page_id: string;
    readonly modality: string;
    readonly level: number;
    readonly tokens_est: number | null;
    readonly importance: number;
  }[];
  readonly available_pages: readonly {
    readonly page_id: string;
    readonly modality: string;
    readonly tier: string;
    readonly levels: readonly number[];
    readonly hint: string;
  }[];
  readonly policies: {
    readonly faults_allowed: boolean;
    readonly max_faults_per_turn: number;
    readonly upgrade_budget_tokens: number;
    readonly prefer_levels: readonly number[];
  };
}

/**
 * What the prompt has and what it can have back, for a model. What stands in the prompt as it was said needs no line: pages that stand for others
 * have one.
 *
 * @param faults that the model may make in a turn; null: it is offered no tools for them.
 * @param tokens that the lists may take together, about.
 */
export function manifestOf(
  pages: ConversationPages,
  faults: { readonly mostPages: number; readonly mostTokens: number } | null,
  tokens: number,
): Manifest {
  const { table } = pages;
  const hintOfPage = (page: MemoryPage): string => {
    const message = pages.messageOf(page);
    return message ? hintOf(message) : page.kind === 'procedure' ? derivedHint(page.kind, pages.derivedText(page)) : '';
  };
  const most = Math.floor(tokens / tokensOfLine);
  const standing = table
    .withTier('L0')
    .filter(({ represents, kind }) => represents.length > 0 || kind === 'summary')
    .sort((a, b) => b.importance - a.importance || b.sequence - a.sequence)
    .slice(0, Math.ceil(most / 2));
  return {
    working_set: standing.map(({ id, modality, level, tokens: own, importance }) => ({
      page_id: id,
      modality,
      level,
      tokens_est: own,
      importance,
    })),
    available_pages: [...table.withTier('L1'), ...table.withTier('L2')]
      .filter(({ represents, kind }) => kind === 'procedure' || (represents.length === 0 && kind !== 'summary'))
      .sort((a, b) => b.importance - a.importance || b.accessedAt - a.accessedAt || b.sequence - a.sequence)
      .slice(0, Math.min(mostAvailable, most - standing.length))
      .map((page) => ({
        page_id: page.id,
        modality: page.modality,
        tier: page.tier,
        levels: [0, 1, 2, 3],
        hint: hintOfPage(page),
      })),
    policies: {
      faults_allowed: faults !== null,
      max_faults_per_turn: faults?.mostPages ?? 0,
      upgrade_budget_tokens: faults?.mostTokens ?? 0,
      prefer_levels: [2, 1, 0],
    },
  };
}

const tokensOfLine = 64;
