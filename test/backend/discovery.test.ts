import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { discover, type Machine } from '../../src/backend/discovery/discover.ts';
import { quantisationIn } from '../../src/backend/discovery/ggufFiles.ts';
import { loopbackPort } from '../../src/backend/engines/loopbackPort.ts';
import { FakeLlamaServer } from '../fakes/fakeLlamaServer.ts';
import { FakeVllm } from '../fakes/fakeVllm.ts';

const never = new AbortController().signal;
const portOf = (url: string): number => Number(new URL(url).port);

function makeHome(): string {
  const home = mkdtempSync(path.join(tmpdir(), 'cwm-home-'));
  onTestFinished(() => rmSync(home, { recursive: true }));
  return home;
}

/** A sparse file: what it takes on the disk is nothing. */
function makeFile(file: string, sizeBytes: number): void {
  mkdirSync(path.dirname(file), { recursive: true });
  writeFileSync(file, '');
  truncateSync(file, sizeBytes);
}

const machine = (fields: Partial<Machine>): Machine => ({
  platform: 'linux',
  env: {},
  home: null,
  memoryBytes: 16e9,
  ports: {},
  ...fields,
});

async function serve(answer: (url: string) => { status: number; body: string }): Promise<number> {
  const server = createServer((request, response) => {
    const { status, body } = answer(request.url ?? '');
    response.writeHead(status, { 'content-type': 'application/json' }).end(body);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => void server.close());
  return (server.address() as AddressInfo).port;
}

test('finds the servers that answer on this machine, says what they are, and asks them to compute nothing', async () => {
  const vllm = await FakeVllm.start();
  const llama = await FakeLlamaServer.start();
  onTestFinished(async () => void (await Promise.all([vllm.stop(), llama.stop()])));
  const other = await serve(() => ({ status: 200, body: '<html>' }));
  const locked = await serve(() => ({ status: 401, body: '{}' }));
  const closed = await serve(() => ({ status: 404, body: '{}' }));
  const ports = {
    [portOf(vllm.url)]: 'vLLM',
    [portOf(llama.url)]: 'Jan',
    [other]: 'Ollama',
    [locked]: 'LM Studio',
    [closed]: 'SGLang',
  };
  const { servers } = await discover(machine({ ports }), undefined, never);
  expect(servers.toSorted((a, b) => (a.product < b.product ? 1 : -1))).toMatchObject([
    { spec: `http://127.0.0.1:${portOf(vllm.url)}`, product: 'vLLM', kind: 'vllm', wantsKey: false },
    { spec: `http://127.0.0.1:${portOf(llama.url)}`, product: 'llama-server', kind: 'llama-server' },
    { spec: `http://127.0.0.1:${locked}`, product: 'LM Studio', kind: null, wantsKey: true, models: [] },
  ]);
  expect(servers.find(({ product }) => product === 'llama-server')?.models).toMatchObject([{ id: 'fake-llama' }]);
  const computing = ['/v1/completions', '/v1/chat/completions', '/completion'];
  for (const route of computing) expect([...vllm.requestsTo(route), ...llama.requestsTo(route)]).toEqual([]);
});

test('asks the port of OPENAI_BASE_URL too, but only on this machine', async () => {
  const vllm = await FakeVllm.start();
  onTestFinished(() => vllm.stop());
  const { servers } = await discover(machine({}), `http://localhost:${portOf(vllm.url)}/v1`, never);
  expect(servers).toMatchObject([{ kind: 'vllm' }]);
  expect(
    ['http://10.0.0.1:8000', 'https://localhost:1', 'http://localhost.evil.org:1', 'x', undefined].map(loopbackPort),
  ).toEqual([null, null, null, null, null]);
  expect(['http://127.0.0.1:9/v1', 'http://[::1]:8', 'http://localhost'].map(loopbackPort)).toEqual([9, 8, 80]);
});

test('finds the model files of other programs, with name, size and quantisation, and says which fit into memory', async () => {
  const home = makeHome();
  const at = (...names: string[]): string => path.join(home, ...names);
  makeFile(at('.lmstudio/models/lmstudio-community/Qwen3-4B-GGUF/Qwen3-4B-Q4_K_M.gguf'), 2.5e9);
  makeFile(at('.lmstudio/models/lmstudio-community/Qwen3-4B-GGUF/mmproj-Qwen3-4B-F16.gguf'), 1e9);
  for (const part of [1, 2, 3]) makeFile(at(`.cache/llama.cpp/org_Big-IQ3_XS-0000${part}-of-00003.gguf`), 9e9);
  makeFile(at('.cache/llama.cpp/org_Torn-Q8_0-00001-of-00002.gguf'), 1e9);
  makeFile(at('.cache/huggingface/hub/models--a--b/blobs/abc'), 3e9);
  mkdirSync(at('.cache/huggingface/hub/models--a--b/snapshots/main'), { recursive: true });
  symlinkSync(
    at('.cache/huggingface/hub/models--a--b/blobs/abc'),
    at('.cache/huggingface/hub/models--a--b/snapshots/main/b.BF16.gguf'),
  );
  symlinkSync(at('nowhere'), at('.cache/huggingface/hub/models--a--b/snapshots/main/gone.gguf'));
  makeFile(at('.config/Jan/data/llamacpp/models/Jan-v1-4B-Q4_K_M/model.gguf'), 2e9);
  makeFile(at('.local/share/nomic.ai/GPT4All/Llama-3.2-1B-Instruct-Q4_0.gguf'), 8e8);
  const digest = (text: string): string => createHash('sha256').update(text).digest('hex');
  const manifest = {
    config: { mediaType: 'application/vnd.docker.container.image.v1+json', digest: `sha256:${digest('config')}` },
    layers: [{ mediaType: 'application/vnd.ollama.image.model', digest: `sha256:${digest('model')}` }],
  };
  const manifests = at('.ollama/models/manifests/registry.ollama.ai/library/gemma3');
  mkdirSync(manifests, { recursive: true });
  writeFileSync(path.join(manifests, '270m'), JSON.stringify(manifest));
  const escaping = {
    layers: [{ mediaType: 'application/vnd.ollama.image.model', digest: 'sha256:../../../etc/passwd' }],
  };
  writeFileSync(path.join(manifests, 'evil'), JSON.stringify(escaping));
  writeFileSync(path.join(manifests, 'torn'), '{');
  makeFile(at(`.ollama/models/blobs/sha256-${digest('model')}`), 3e8);
  writeFileSync(at(`.ollama/models/blobs/sha256-${digest('config')}`), '{"file_type":"Q8_0"}');

  const { files } = await discover(machine({ home }), undefined, never);
  const rows = files.map(({ source, name, sizeBytes, quantisation, fits }) => [
    source,
    name,
    sizeBytes,
    quantisation,
    fits,
  ]);
  expect(rows).toEqual([
    ['Ollama', 'gemma3:270m', 3e8, 'Q8_0', true],
    ['LM Studio', 'Qwen3-4B-Q4_K_M', 2.5e9, 'Q4_K_M', true],
    ['Hugging Face', 'b.BF16', 3e9, 'BF16', true],
    ['llama.cpp', 'org_Big-IQ3_XS', 27e9, 'IQ3_XS', false],
    ['Jan', 'Jan-v1-4B-Q4_K_M', 2e9, 'Q4_K_M', true],
    ['GPT4All', 'Llama-3.2-1B-Instruct-Q4_0', 8e8, 'Q4_0', true],
  ]);
  expect(files[0]?.spec).toBe(`embedded:${at(`.ollama/models/blobs/sha256-${digest('model')}`)}`);
});

test.each([
  ['Meta-Llama-3.1-8B-Instruct-Q5_K_S', 'Q5_K_S'],
  ['model.fp16', 'F16'],
  ['gpt-oss-20b-mxfp4', 'MXFP4'],
  ['Qwen3-4B', null],
])('reads the quantisation in the name %s', (name, quantisation) => {
  expect(quantisationIn(name)).toBe(quantisation);
});
