import { afterEach, describe, expect, it, vi } from 'vitest';
import { userMachine } from '../../../src/backend/discovery/userMachine.ts';
import { networkFileSystem, networkWarning } from '../../../src/backend/health/networkFileSystem.ts';
import { socketAddresses } from '../../../src/backend/process/socketAddress.ts';
import { engineKeyFor, withRequest } from '../../../src/backend/requestScope.ts';

const { home } = vi.hoisted((): { home: { path: string | null } } => ({ home: { path: '/home/me' } }));
vi.mock('node:os', async (original) => ({
  ...(await original<object>()),
  homedir: () => {
    if (home.path === null) throw new Error('uv_os_homedir returned ENOENT');
    return home.path;
  },
}));

const platform = process.platform;
afterEach(() => {
  vi.unstubAllEnvs();
  Object.defineProperty(process, 'platform', { value: platform });
});

describe("the user's machine", () => {
  it('has a home directory, or none for a user whom the system does not know', () => {
    expect(userMachine()).toMatchObject({ platform, home: '/home/me' });
    home.path = null;
    expect(userMachine()).toMatchObject({ home: null, memoryBytes: expect.any(Number) });
  });

  it('S0-02 has pipes on Windows, whose names show no path and cannot be guessed', () => {
    Object.defineProperty(process, 'platform', { value: 'win32' });
    const [one, two] = [...socketAddresses('C:\\store'), ...socketAddresses('C:\\store')];
    expect(one).toMatch(/^\\\\\.\\pipe\\cwm-[0-9a-f]{16}-[0-9a-f-]{36}$/);
    expect(two).not.toBe(one);
  });

  it('says what a network file system means, and leaves a missing directory to its first use', async () => {
    expect(networkWarning('NFS')).toContain('it is on a network file system (NFS)');
    expect(await networkFileSystem('/no/such/directory')).toBeNull();
  });
});

describe('the key for the model server', () => {
  it("is the request's own, else that of the backend's environment, where a header can carry it", async () => {
    const server = 'http://127.0.0.1:8000';
    const key = () => engineKeyFor(server, { now: server, own: server });
    vi.stubEnv('CWM_API_KEY', 'sk-own');
    expect(key()).toBe('sk-own');
    expect(await withRequest({ client: 'cli', engineKey: 'sk-theirs' }, async () => key())).toBe('sk-theirs');
    vi.stubEnv('CWM_API_KEY', 'two\nlines');
    expect(key()).toBeUndefined();
  });
});
