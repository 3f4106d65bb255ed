import type { MemoryRequest } from '../documents/memoryMessages.ts';
import type { PageRequest } from '../documents/pageMessages.ts';

interface VsCodeApi {
  postMessage(message: PageRequest | MemoryRequest): void;
  getState(): Partial<PageMemory> | undefined;
  setState(state: PageMemory): void;
}
declare function acquireVsCodeApi(): VsCodeApi;

/** What the page remembers while it is hidden, and over a restart of VS Code. */
export interface PageMemory {
  readonly session: string;
  /** A message that was begun. */
  readonly typed: string;
}

const api = acquireVsCodeApi();

export const ask = (request: PageRequest | MemoryRequest): void => api.postMessage(request);
export const remember = (memory: PageMemory): void => api.setState(memory);
export const remembered = (): Partial<PageMemory> => api.getState() ?? {};
