import type { RouteOutput } from '../../protocol/api.ts';

type MemoryState = RouteOutput<'memoryState'>;

/** Pages of one answer, and how many more that left the prompt are listed each time. */
export const pagesFrom = 100;

/** A prompt with more pages shows the newest of them. */
const mostPages = 1000;

export interface MemoryPart {
  readonly limit: number;
  readonly offset: number;
  readonly search?: boolean;
}

/** Reads the pages that the prompt has whole, and those that left last. @param evicted how many of the latter. */
export async function readMemory(
  call: (page: MemoryPart) => Promise<MemoryState>,
  evicted: number,
): Promise<MemoryState> {
  const first = await call({ limit: 1, offset: 0, search: true });
  const { total, inPrompt } = first;
  if (!first.enableVm) return { ...first, pages: [] };
  const from = Math.max(0, total - Math.min(inPrompt, mostPages) - evicted);
  const pages = new Map<string, MemoryState['pages'][number]>();
  let state = first;
  for (let offset = from; offset < total;) {
    state = await call({ limit: pagesFrom, offset });
    for (const page of state.pages) pages.set(page.id, page);
    if (state.pages.length === 0) break;
    offset += state.pages.length;
  }
  return { ...state, search: first.search, pages: [...pages.values()] };
}
