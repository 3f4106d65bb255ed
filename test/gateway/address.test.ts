import { expect, test } from 'vitest';
import { gatewayAddress } from '../../src/gateway/address.ts';

test.each([
  ['/v1/models?a=1?b=2', { token: null, project: null, path: '/v1/models?a=1?b=2' }],
  ['/t/T/p/%2Fhome%2Fme/v1/models?', { token: 'T', project: '/home/me', path: '/v1/models?' }],
  ['/p/demo', { token: null, project: 'demo', path: '/' }],
  ['/api/sessions', null],
  ['/p/%zz/v1', null],
])('%s', (url, address) => {
  expect(gatewayAddress(url)).toEqual(address);
});
