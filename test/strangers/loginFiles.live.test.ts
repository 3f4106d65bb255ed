import { expect, test } from 'vitest';
import { loginPlatforms, type LoginStart } from '../../src/setup/loginPlatforms.ts';
import { findPython } from '../engines/live/python.ts';
import { run } from './run.ts';

/** What Python's own parsers make of a file of a login. */
async function parsed(script: string, file: Buffer): Promise<unknown> {
  const python = await findPython(10, 14, new AbortController().signal);
  const { status, output } = await run(python.path, ['-c', script], { input: file.toString('base64') });
  expect(status, output).toBe(0);
  return JSON.parse(output);
}
const plist =
  'import sys, base64, json, plistlib; print(json.dumps(plistlib.loads(base64.b64decode(sys.stdin.read()))))';
const xml = `import sys, base64, json, xml.etree.ElementTree as tree
def of(e): return [e.tag, dict(e.attrib), (e.text or '').strip() if len(e) == 0 else [of(c) for c in e]]
print(json.dumps(of(tree.fromstring(base64.b64decode(sys.stdin.read())))))`;

const hard: LoginStart = {
  command: '/Applications/Müller & Söhne/My "Node" <1>/node',
  args: ['/lib/日本/backend.js', '--storage', "/Users/zoë/it's 50% $HOME & ]]> &amp;", '', 'a\\b\\'],
  env: { ELECTRON_RUN_AS_NODE: '1', OTHER: 'a & "b" <c>' },
};

test('macOS: the agent is a property list, whose words are those that were meant', async () => {
  const text = loginPlatforms['darwin']?.text(hard, { home: '/Users/zoë', env: {} }) ?? '';
  expect(await parsed(plist, Buffer.from(text))).toEqual({
    Label: 'com.context-window-manager.backend',
    ProgramArguments: [hard.command, ...hard.args],
    EnvironmentVariables: hard.env,
    RunAtLoad: true,
    ProcessType: 'Background',
  });
});

type Element = [tag: string, attributes: Record<string, string>, content: string | Element[]];

/** The elements that the schema of a task (MS-TSCH, 2.5) has at each place that we write to, in the order in which it wants them. */
const schema: Readonly<Record<string, readonly string[]>> = {
  Task: ['RegistrationInfo', 'Triggers', 'Settings', 'Actions'],
  RegistrationInfo: ['Description'],
  Triggers: ['LogonTrigger'],
  LogonTrigger: ['Enabled', 'UserId'],
  Settings: [
    'MultipleInstancesPolicy',
    'DisallowStartIfOnBatteries',
    'StopIfGoingOnBatteries',
    'ExecutionTimeLimit',
    'Hidden',
  ],
  Actions: ['Exec'],
  Exec: ['Command', 'Arguments'],
};
const namespace = '{http://schemas.microsoft.com/windows/2004/02/mit/task}';

/** As the C runtime of Windows splits a command line. */
function windowsWords(line: string): string[] {
  const words: string[] = [];
  for (const [, quoted = ''] of line.matchAll(/"((?:[^"\\]|\\+(?!")|(?:\\\\)*\\"|(?:\\\\)+(?="))*)"/g))
    words.push(
      quoted.replaceAll(
        /(\\*)(\\"|$)/g,
        (_all, slashes: string, end: string) => slashes.slice(slashes.length / 2) + (end && '"'),
      ),
    );
  return words;
}

test('Windows: the task is what its schema allows, in UTF-16, and its words are those that were meant', async () => {
  const windows = loginPlatforms['win32'];
  const start: LoginStart = {
    command: 'C:\\Program Files\\Müller & Söhne\\node.exe',
    args: ['C:\\x y\\backend.js', '--storage', 'C:\\Users\\zoë\\a & b\\'],
    env: {},
  };
  const text = windows?.text(start, { home: '', env: { USERDOMAIN: 'R&D', USERNAME: 'zoë' } }) ?? '';
  const task = (await parsed(xml, Buffer.from(`\uFEFF${text}`, windows?.encoding))) as Element;
  const values: Record<string, string> = {};
  const check = ([tag, , content]: Element): void => {
    const name = tag.replace(namespace, '');
    if (typeof content === 'string') values[name] = content;
    else {
      expect(content.map(([each]) => each.replace(namespace, ''))).toEqual(schema[name]);
      content.forEach(check);
    }
  };
  check(task);
  expect(task.slice(0, 2)).toEqual([`${namespace}Task`, { version: '1.2' }]);
  expect(values).toMatchObject({
    UserId: 'R&D\\zoë',
    MultipleInstancesPolicy: 'IgnoreNew',
    ExecutionTimeLimit: 'PT0S',
  });
  expect(windowsWords(values['Arguments'] ?? '')).toEqual([start.command, ...start.args]);
});
