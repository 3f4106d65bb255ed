import { cpSync, readFileSync } from 'node:fs';
import { createHash } from 'node:crypto';
import path from 'node:path';
import { buildOnce } from '../engines/live/buildOnce.ts';
import { strangersFolder } from '../engines/live/cacheFolder.ts';
import { pipInstall, runLogged } from '../engines/live/loggedCommand.ts';
import { findPython, venvPython } from '../engines/live/python.ts';

/** Programs that nobody here wrote, and that talk to model servers or to servers of MCP. Each is installed in a folder of its own. */
export const clientPackages = {
  openai: 'openai@7.59.0',
  continue: '@continuedev/cli@1.5.47',
  codex: '@openai/codex@0.171.0',
  inspector: '@modelcontextprotocol/inspector@2.12.0',
  conformance: '@modelcontextprotocol/conformance@0.2.0-alpha.12',
  aiSdk: 'ai@7.0.173 @ai-sdk/openai-compatible@3.0.92',
  qwen: '@qwen-code/qwen-code@0.24.4',
  opencode: 'opencode-ai@1.18.33',
  pi: '@mariozechner/pi-coding-agent@0.73.1',
  claudeCode: '@anthropic-ai/claude-code@2.1.328',
  cline: 'cline@3.0.65',
  /** From PyPI. */
  pythonMcp: 'mcp==2.3.0',
  pythonOpenai: 'openai==3.57.0 langchain-openai==1.7.4 llm==0.36',
  aider: 'aider-chat==0.86.2',
  gptme: 'gptme==0.35.1',
  vibe: 'mistral-vibe==3.0.2',
} as const;
export type ClientName = keyof typeof clientPackages;

/** The least minor version of Python 3 that a package wants; the others take 3.10. */
const oldestPython: Partial<Record<ClientName, number>> = { vibe: 12 };

/** Their programs come with a script of their package, which npm does not run where it is set to run none. */
const installScripts: Partial<Record<ClientName, string>> = {
  opencode: 'opencode-ai/postinstall.mjs',
  claudeCode: '@anthropic-ai/claude-code/install.cjs',
};

/** These have tests in every run of CI. Of the others, `docs/gateway.md` says when their stories are told. */
export const clientsOfEveryRun: readonly ClientName[] = [
  'openai',
  'continue',
  'codex',
  'inspector',
  'conformance',
  'pythonMcp',
];

/** Where a client is or would be installed: another version is another folder. */
export function clientFolder(name: ClientName): string {
  const hash = createHash('sha256').update(clientPackages[name]).digest('hex').slice(0, 12);
  return path.join(path.dirname(strangersFolder()), 'clients', `${name}-${hash}`);
}

/** Makes sure that it is there. @throws an Error that says what is missing. */
export async function installClient(name: ClientName, signal: AbortSignal, log: (line: string) => void): Promise<void> {
  const place = clientFolder(name);
  const work = async (): Promise<{ readonly package: string }> => {
    log(`Installing ${clientPackages[name]} into ${place} …`);
    const options = { logFile: path.join(place, 'install.log'), signal, cwd: place };
    cpSync(path.join(import.meta.dirname, 'package.json.txt'), path.join(place, 'package.json'));
    const packages = clientPackages[name].split(' ');
    if (clientPackages[name].includes('==')) {
      const python = await findPython(oldestPython[name] ?? 10, 14, signal);
      await runLogged([python.path, '-m', 'venv', 'venv'], options);
      await runLogged([...pipInstall(venvPython(place)), ...packages], options);
    } else {
      await runLogged(['npm', 'install', '--save-exact', '--no-audit', '--no-fund', ...packages], options);
      const script = installScripts[name];
      if (script !== undefined) await runLogged([process.execPath, path.join('node_modules', script)], options);
    }
    return { package: clientPackages[name] };
  };
  await buildOnce(place, work, { signal, log });
}

/** @throws an Error that says what to do when it is not installed. */
export function clientModules(name: ClientName): string {
  const list = path.join(clientFolder(name), 'package.json');
  try {
    readFileSync(list);
  } catch {
    throw new Error(`${clientPackages[name]} is not installed. Run: npm run clients:install ${name}`);
  }
  return list;
}
