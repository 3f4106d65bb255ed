import { describe, expect, it } from 'vitest';
import { BlockHashChain, blockHashChain, type BlockHashProfile } from '../../src/base/kvBlockHash.ts';

const ids = Array.from({ length: 300 }, (_, index) => (index * 7919 + 13) % 152_064);
const profile = (part: Partial<BlockHashProfile> = {}): BlockHashProfile => ({
  algorithm: 'sha256_cbor',
  seed: 'vllm-none-hash',
  saltEncoding: 'tagged',
  ...part,
});

describe("vLLM's block hash chain", () => {
  it('is that of vLLM for sha256_cbor (golden chain published with its KV events)', () => {
    const hashes = blockHashChain(profile(), ids, 128, null);
    expect(hashes).toEqual([
      '3c922374e6fe67f3c64e75b88a3b8bd6185b538f7019674b72aefbf8dd8754f8',
      '2e69fa8c8aebe362593b51b8b212f1aeb45f9bb56c4258c0bf2a94f1e384e2a5',
    ]);
    expect(hashes.map((hash) => BigInt(`0x${hash.slice(-16)}`))).toEqual([8263819412558533880n, 13774986176891249317n]);
  });

  it('is that of vLLM for a bare salt and a numeric PYTHONHASHSEED', () => {
    const blockIds = Array.from({ length: 128 }, (_, index) => 1000 + index);
    expect(blockHashChain(profile({ seed: '0', saltEncoding: 'bare' }), blockIds, 128, 'my-salt')).toEqual([
      '84611d254438937d076c5739d973f17e1febd6a252387f535357a817319908b0',
    ]);
  });

  it('is that of CPython for the default sha256, over pickle', () => {
    const hashes = blockHashChain(profile({ algorithm: 'sha256' }), ids, 16, null);
    expect(hashes.slice(0, 3)).toEqual([
      '6ab141cf6df1fd210cb0636d12329df6612c127f8b145ff7475b88cb0205fcc0',
      '3a4184f8fce0eb68a25623d184d9f48875f01eb882e5a60cc781444329490e6e',
      'd278bc9a88b8e508db27efb97b05b7178f5b2bff3dc76d2b8eb0cd08d5c08f04',
    ]);
    expect(hashes.at(-1)).toBe('7b5c4b6659cf0bb9f9e26ef8d41bc96d018f0c9a0b4fa9393cbe48943b593a52');
  });

  it.each([
    [
      'tagged',
      '7fbca4c6a4ee11d93b708d99f6f737d3add85e2d1169c98f471f0d86a56343f5',
      'e6beb76abceb8282d1b9d37e617f3fb7d14446438792ecb20052845da29ce0d2',
    ],
    [
      'bare',
      '05feeaee24c3475e47acf61c3a0f6e8406b028adce3dc6f5be61cf13d7c67930',
      'b1ba84674421016036288d90c9aca8245408eb6e7bd731e746753d7f85eccacf',
    ],
  ] as const)('is that of CPython for a %s salt over pickle', (saltEncoding, first, second) => {
    const hashes = blockHashChain(profile({ algorithm: 'sha256', saltEncoding }), ids, 16, 'my-salt');
    expect(hashes.slice(0, 2)).toEqual([first, second]);
  });

  it('pickles every width of int and string and every size of tuple as CPython does', () => {
    const edges = [0, 255, 256, 65_535, 65_536, 2_147_483_647];
    const pickled = profile({ algorithm: 'sha256', seed: '' });
    expect(blockHashChain(pickled, edges, 1, null).at(-1)).toBe(
      '401d197ee7341b297232e67a87792d59119d2a726cbc6b9a81281f3ff813f158',
    );
    expect(blockHashChain(pickled, edges, 3, null)).toEqual([
      'd366b733ccb04d9c60652be00683e750f33682cce15adda4f7e022f40b61ecba',
      '93a5c12c392b6e0c45dd652da9eba73013f49a7c73b3cdcf91f3dd704a01f9dc',
    ]);
    const longSalt = profile({ algorithm: 'sha256', seed: '0', saltEncoding: 'bare' });
    expect(blockHashChain(longSalt, ids, 2, 'ä'.repeat(200)).slice(0, 2)).toEqual([
      '2d55811462a8fbace8777e7b11b677fda1b24e2d8e26c451a2726b51009e0184',
      'acc95aa161b2a9287eaa45ff7e13b68e53251c30ddaed05414fe67b9ac360b86',
    ]);
  });

  it('hashes full blocks only', () => {
    expect(blockHashChain(profile(), ids.slice(0, 15), 16, null)).toEqual([]);
    expect(blockHashChain(profile(), ids.slice(0, 33), 16, null)).toEqual(
      blockHashChain(profile(), ids.slice(0, 47), 16, null),
    );
  });

  it('shares no block between two salts, or with and without one', () => {
    const chains = [null, 'a', 'b'].map((salt) => blockHashChain(profile(), ids, 16, salt));
    expect(new Set(chains.flat()).size).toBe(chains.flat().length);
  });

  it('grows to the same chain however the ids arrive', () => {
    const chain = new BlockHashChain(profile(), 16, 'salt');
    for (let at = 0; at < ids.length; at += 7) chain.append(ids.slice(at, at + 7));
    expect(chain.hashes).toEqual(blockHashChain(profile(), ids, 16, 'salt'));
  });

  it.each([[-1], [1.5], [2 ** 31], [Number.NaN]])('refuses %d as a token id', (id) => {
    expect(() => blockHashChain(profile(), [1, id], 1, null)).toThrow(RangeError);
  });

  it.each([[0], [-1], [1.5], [8193]])('refuses blocks of %d tokens', (blockTokens) => {
    expect(() => blockHashChain(profile(), [], blockTokens, null)).toThrow(RangeError);
  });
});
