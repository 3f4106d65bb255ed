import { HarnessError } from '../harness/harnessError.ts';

/** One thing a user does and sees. The title is a sentence about behaviour. */
export interface Step {
  readonly title: string;
  run(): Promise<void>;
}

export interface Outcome {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
}

/**
 * Runs steps that build on each other, in one window: after the first that fails the rest is skipped.
 * @throws {HarnessError} what the failed step threw, with `outcome` filled, so that the harness adds its evidence.
 */
export async function runSteps(
  steps: readonly Step[],
  outcome: { passed: number; failed: number; skipped: number },
): Promise<void> {
  for (const [index, step] of steps.entries()) {
    const started = performance.now();
    try {
      await step.run();
    } catch (error) {
      outcome.failed++;
      outcome.skipped += steps.length - index - 1;
      console.log(`  ✗ ${step.title}`);
      throw error instanceof HarnessError ? error : new HarnessError(String(error), [], { cause: error });
    }
    outcome.passed++;
    console.log(`  ✓ ${step.title} (${Math.round(performance.now() - started)} ms)`);
  }
}
