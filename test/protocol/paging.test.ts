import { describe, expect, it } from 'vitest';
import { parsePage } from '../../src/protocol/paging.ts';

describe('a page of a list', () => {
  it('S0-24 is the first of the default size where nothing is named', () => {
    expect(parsePage({}, 20)).toEqual({ limit: 20, offset: 0 });
    expect(parsePage({ limit: '100', offset: '7' }, 20)).toEqual({ limit: 100, offset: 7 });
  });

  it.each([
    { limit: 0 },
    { limit: 101 },
    { limit: 1.5 },
    { limit: 'many' },
    { offset: -1 },
    { offset: 0.5 },
    { offset: 'x' },
  ])('S0-24 is refused for %o, and the error names the field', (input) => {
    const [field] = Object.keys(input);
    expect(() => parsePage(input, 20)).toThrow(
      expect.objectContaining({ code: 'CWM-1003', message: expect.stringContaining(`"${field}"`) }),
    );
  });
});
