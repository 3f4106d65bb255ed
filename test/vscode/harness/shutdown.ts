import { within } from './waitUntil.ts';

type Cleanup = () => Promise<void> | void;
/** Files go when the processes that use them are gone. */
const PHASES = ['processes', 'files'] as const;
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
const PHASE_LIMIT_MS = 15_000;
/** One Ctrl-C arrives twice under npm (from the terminal and from npm), and a closing parent may signal as well. */
const SAME_REQUEST_MS = 1_000;
let endingSince: number | undefined;
const registered = new Map<Cleanup, (typeof PHASES)[number]>();

/**
 * Runs `cleanup` when a signal ends this process early. Returns a function that withdraws it; call it after a normal clean-up.
 * Handlers are installed only while something is registered, so a host program (a test runner) keeps its own behaviour otherwise.
 */
export function onShutdown(phase: (typeof PHASES)[number], cleanup: Cleanup): () => void {
  if (registered.size === 0) for (const signal of SIGNALS) process.on(signal, handle);
  registered.set(cleanup, phase);
  return () => {
    if (registered.delete(cleanup) && registered.size === 0 && endingSince === undefined) removeHandlers();
  };
}

/**
 * Resolves at once, but never once a signal is ending this process: what fails then, fails because its parts were taken away, and
 * telling the user about that would only hide that it was the user's wish.
 */
export async function holdWhileEnding(): Promise<void> {
  if (endingSince !== undefined) await new Promise<never>(() => undefined);
}

function removeHandlers(): void {
  for (const signal of SIGNALS) process.off(signal, handle);
}

function handle(signal: NodeJS.Signals): void {
  if (endingSince === undefined) {
    endingSince = performance.now();
    void cleanUp().then(() => raise(signal));
  } else if (signal === 'SIGINT' && performance.now() - endingSince > SAME_REQUEST_MS) {
    raise(signal); // the user insists; what we started notices by its closed pipe
  }
}

/** Rather than process.exit(): the exit status tells the signal, and other listeners get their turn. */
function raise(signal: NodeJS.Signals): void {
  removeHandlers();
  process.kill(process.pid, signal);
}

async function cleanUp(): Promise<void> {
  for (const phase of PHASES) {
    const due = [...registered].filter(([, at]) => at === phase).map(async ([cleanup]) => cleanup());
    await within(Promise.allSettled(due), PHASE_LIMIT_MS);
  }
}
