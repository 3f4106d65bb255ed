import { expect, test } from 'vitest';
import { apiKeySecret } from '../../src/vscode/contributions.ts';

test('a server has one API key, whatever model or folder its spec names', () => {
  const secret = apiKeySecret('http://host:8000');
  expect(apiKeySecret('http://host:8000#model=qwen')).toBe(secret);
  expect(apiKeySecret('http://host:8000#tier=/var/kv&model=qwen')).toBe(secret);
  expect(apiKeySecret('http://host:8001')).not.toBe(secret);
});
