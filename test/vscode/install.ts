// Brings the VS Code and the browser of the suites here, where they are missing. Tells a failure and ends well: the suites try again.
import { ensureChromium } from './harness/chromium.ts';
import { ensureCodeServer } from './harness/installation.ts';

const installed = await Promise.allSettled([ensureCodeServer(), ensureChromium()]);
for (const one of installed) if (one.status === 'rejected') console.error(String(one.reason));
