import { expect, it } from 'vitest';
import { userDataDirectory } from '../../src/base/userDataDirectory.ts';

it.each([
  ['linux', { XDG_DATA_HOME: '/data' }, '/home/u', '/data'],
  ['linux', { XDG_DATA_HOME: 'data' }, '/home/u', '/home/u/.local/share'],
  ['linux', {}, '/home/u', '/home/u/.local/share'],
  ['linux', {}, null, null],
  ['linux', {}, '', null],
  ['linux', { XDG_DATA_HOME: '/data' }, null, '/data'],
  ['darwin', { XDG_DATA_HOME: '/data' }, '/Users/u', '/Users/u/Library/Application Support'],
  ['win32', { LOCALAPPDATA: 'C:\\Users\\u\\AppData\\Local' }, 'C:\\Users\\u', 'C:\\Users\\u\\AppData\\Local'],
  ['win32', {}, 'C:\\Users\\u', 'C:\\Users\\u/AppData/Local'],
])('a user of %s with %j and the home %s keeps data in %s', (platform, env, home, expected) => {
  expect(userDataDirectory({ platform, env, home })).toBe(expected);
});
