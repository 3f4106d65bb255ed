import { expect, test } from 'vitest';
import { nameOfFolder } from '../../../src/core/projects/resolveProject.ts';

test.each([
  ['file:///home/me/my%20barn', 'my barn'],
  ['file:///home/me/100%', '100%'],
  ['file:///', 'file:///'],
])('the project %s is called %s', (project, name) => {
  expect(nameOfFolder(project as never)).toBe(name);
});
