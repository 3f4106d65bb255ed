import { Random } from '../soak/random.ts';
import type { FaultKind } from './faultyFiles.ts';
import type { MemoryFiles } from './memoryFiles.ts';

/** How the last change before the end goes. */
export const faultKinds: readonly FaultKind[] = ['before', 'torn', 'after'];

/** How everything ends, and what that leaves of the changes of names that no directory was synced for: all, none, some. */
export const endings = ['kill -9', 'power cut', 'power cut that some writes survive'] as const;
export type Ending = (typeof endings)[number];

/** Every way to end, for `describe.each`. */
export const allEndings = faultKinds.flatMap((kind) => endings.map((ending) => ({ kind, ending })));

/** @param seed decides what survives, where only some of it does. */
export function endAs(ending: Ending, memory: MemoryFiles, seed: number): void {
  const random = new Random(seed);
  if (ending === 'power cut') memory.cutPower();
  if (ending === 'power cut that some writes survive') memory.cutPower(() => random.chance(0.5));
}
