import { join } from 'node:path';
import { systemClock } from '../base/clock.ts';
import { entryPointPath } from '../base/entryPoint.ts';
import { makeCore } from '../core/core.ts';
import { Clients } from '../gateway/clients/clients.ts';
import type { Healing } from '../gateway/passing/heal.ts';
import { Gateway } from '../gateway/gateway.ts';
import type { SpaceLimits } from '../core/space/limits.ts';
import type { AutoSyncConfig } from '../core/tracker/autoSync.ts';
import type { Sleep } from '../engines/http/timing.ts';
import type { ContinueFrom, Isolation } from '../protocol/settings/sessionChoices.ts';
import type { TrackerConfig } from '../core/tracker/trackerConfig.ts';
import type { CheckpointPolicy } from '../core/windows/checkpoints/checkpointPolicy.ts';
import type { AuditFact } from '../protocol/schemas/audit.ts';
import { productVersion } from '../protocol/version.ts';
import { isCwmError, nullOn } from '../protocol/errors.ts';
import type { FileStore } from '../store/fileStore.ts';
import { openStore, type StoreOptions } from '../store/openStore.ts';
import { diskFiles } from '../store/disk/files.ts';
import { BlockFiles } from '../store/space/blockFiles.ts';
import { StateFolders } from '../store/states/stateFolders.ts';
import { auditedStore } from './audit/auditedStore.ts';
import { parseAuditPoint } from './audit/auditPoint.ts';
import { Refusals } from './audit/refusals.ts';
import { journalFile } from '../gateway/recording/journalFile.ts';
import { listFiles } from './contextFiles/listFiles.ts';
import { discover } from './discovery/discover.ts';
import { userMachine } from './discovery/userMachine.ts';
import { ProjectConfigs } from './contextFiles/projectConfigs.ts';
import { DiskContextFiles } from './contextFiles/diskContextFiles.ts';
import { examine } from './health/doctor.ts';
import { listModels } from './engines/listModels.ts';
import { BackendEngines } from './engines/backendEngines.ts';
import { checkHealth } from './health/health.ts';
import type { EncryptionWish } from '../store/encryption/openEncryption.ts';
import { openApiDocument } from './openApi/openApiDocument.ts';
import { currentSource } from './requestScope.ts';
import { MeasuredSpace } from './metrics/measuredSpace.ts';
import { loadPolicies } from './tools/policyFile.ts';
import { Metrics } from './metrics/metrics.ts';
import { costOfRequest, readPrices } from './metrics/prices.ts';
import { RememberedCounts } from './metrics/rememberedCounts.ts';
import { tokenUsage } from './metrics/tokenUsage.ts';
import { UsageLedger } from './metrics/usageLedger.ts';
import { MachineTools } from './tools/machineTools.ts';
import type { Compose } from './runningBackend.ts';

export interface CompositionOptions {
  /** Engine of sessions that name none, when the backend was told one. Null: the chosen one, else `embedded`. */
  readonly defaultEngine: string | null;
  /** Arguments of the embedded engine's program besides model and KV directory. */
  readonly embeddedArgs: readonly string[];
  /** Default: on. */
  readonly requiresTls?: boolean;
  /** As passed to the backend; null is the default. */
  readonly ratePerMinute: number;
  /** Default: those of `defaultLimits`. */
  readonly limits?: Partial<SpaceLimits>;
  /** Default: none. */
  readonly stateSync?: AutoSyncConfig;
  /** Which sessions can be selected; default: those that exist. */
  readonly tracker?: Partial<TrackerConfig>;
  /** Default: `defaultCheckpointPolicy`. */
  readonly checkpoints?: Partial<CheckpointPolicy>;
  /** Default: `ids`. */
  readonly continueFrom?: ContinueFrom;
  /** Default: it repeats what a client says again as it was spelled first, and pins nothing. */
  readonly healing?: Healing;
  /** Default: `project`. */
  readonly isolation?: Isolation;
  /** Default: as the store is. */
  readonly encryption?: EncryptionWish;
  /** A module with policies of eviction. Default: only those that are built in. */
  readonly memoryPolicyFile?: string | null;
  /** Default: each session's own server, where it serves embeddings. */
  readonly embeddingsServer?: string | null;
  /** Id of a backup that takes the place of the records first. Default: none. */
  readonly restoreBackup?: string | undefined;
  /** How an engine waits before it asks its server again. Default: by the clock. */
  readonly sleep?: Sleep;
}

/** Opens the store, for reading only where the disk has no room for what opening writes. */
async function openOrRead(options: StoreOptions): Promise<FileStore> {
  try {
    return await openStore(options);
  } catch (error) {
    if (options.readOnlyWhy || !isCwmError(error, 'StorageFull')) throw error;
    return await openStore({ ...options, readOnlyWhy: error });
  }
}

/** The composition root: the real store, the real engines and the core over them. */
export const composeServices =
  ({
    defaultEngine,
    embeddedArgs,
    requiresTls = true,
    ratePerMinute,
    limits,
    stateSync,
    tracker,
    checkpoints,
    encryption,
    restoreBackup,
    continueFrom,
    isolation,
    healing = { heals: true, pins: false },
    memoryPolicyFile = null,
    embeddingsServer = null,
    sleep,
  }: CompositionOptions): Compose =>
  async (storage, emit, log, readOnlyWhy, queues, clients, tell) => {
    const policies = memoryPolicyFile === null ? [] : await loadPolicies(memoryPolicyFile, log);
    const store = await openOrRead({
      directory: storage,
      clock: systemClock,
      readOnlyWhy,
      ...(encryption && { encryption }),
      restoreBackup: restoreBackup ?? null,
    });
    for (const { what, ...migrated } of store.migrated) log.write('info', `migrated the store: ${what}`, migrated);
    if (store.restored) log.write('info', 'restored a backup', { ...store.restored, names: null });
    if (store.readOnlyWhy) log.write('warning', 'the store is only read', { why: store.readOnlyWhy.message });
    // Loaded now, so that the first list need not wait for it.
    void store.warmIndex();
    const engineOfNew = defaultEngine ?? (await store.engine.chosen()) ?? 'embedded';
    await store.audit.recordSettings({
      version: productVersion,
      engine: engineOfNew,
      embedded: embeddedArgs.join(' '),
      ratePerMinute,
      encryption: store.encryption.state,
    });
    const record = (facts: readonly AuditFact[]): Promise<void> => store.audit.record(facts);
    const refusals = new Refusals(record, systemClock);
    const metrics = new Metrics(() => systemClock.elapsedMs());
    const counts = new RememberedCounts(metrics, join(storage, 'metrics.json'), store.envelope, log);
    if (!store.isReadOnly) await counts.load();
    const usage = new UsageLedger(join(storage, 'usage.jsonl'), store.envelope, systemClock, log);
    await usage.load(store.isReadOnly);
    const pricesFile = join(storage, 'prices.json');
    const engines = new BackendEngines({
      storage,
      defaultSpec: engineOfNew,
      embedded: { entry: entryPointPath('embedded', import.meta.url), args: embeddedArgs, kvKey: store.kvKey },
      requiresTls,
      embeddings: embeddingsServer,
      sleep,
      log,
      emit,
      onGenerated: (kind, generation) => metrics.generated(kind, generation),
    });
    const tools = new MachineTools({
      userConfig: join(storage, 'mcp.json'),
      isTrusted: (project) => store.projects.isTrusted(project),
    });
    const configs = new ProjectConfigs();
    let listening: Gateway | undefined;
    const core = makeCore({
      store: auditedStore(store, record),
      engines,
      tools,
      files: new DiskContextFiles(),
      folders: configs,
      ...clients,
      clock: systemClock,
      sleep,
      changes: {
        emit: (change) => {
          if (change.type === 'session') listening?.sessionChanged(change.session);
          if (change.type === 'project') listening?.projectChanged();
          emit(change);
        },
        tell,
      },
      peers: new StateFolders(diskFiles),
      blocks: new BlockFiles(diskFiles, join(storage, 'kv')),
      limits,
      stateSync,
      tracker,
      checkpoints,
      continueFrom,
      isolation,
      memory: { policies },
      pricing: async () => {
        const prices = await readPrices(pricesFile);
        return (taken) => costOfRequest(prices, taken);
      },
      onTook: (session, taken) => usage.add(session, currentSource(), taken),
      onBackgroundFailure: (error, what) => log.failure(what, error),
    });
    const recovered = store.isReadOnly ? [] : await core.recover();
    if (recovered.length > 0) log.write('warning', 'turns interrupted by a crash', { sessions: recovered.length });
    const onGatewayFailure = (error: unknown, what: string): void => log.failure(what, error);
    const gatewayClients = new Clients(join(storage, 'gateway', 'clients.json'), onGatewayFailure);
    await gatewayClients.load(store.isReadOnly);
    const gateway = new Gateway({
      outside: core.outside,
      clientTurns: core.clientTurns,
      engines,
      clock: systemClock,
      clients: gatewayClients,
      healing,
      journal: journalFile(join(storage, 'gateway', 'said.jsonl'), store.envelope, store.isReadOnly),
      scratch: join(storage, 'gateway'),
      onFailure: onGatewayFailure,
    });
    listening = gateway;
    const problems = () => store.problems;
    const why = store.readOnlyWhy;
    const space = new MeasuredSpace(core.usage, () => systemClock.elapsedMs());
    const titleOf = async (session: string): Promise<string | null> =>
      (await nullOn(core.getSession({ session }), 'SessionNotFound', 'Corrupted', 'InvalidSessionId'))?.title ?? null;
    const observed = async () => ({ space: await space.get(), engines: engines.lastStatuses, queues: queues() });
    const looked = { storage, engines, problems, limitation: why, embeddings: embeddingsServer };
    return {
      operations: core,
      readOnlyWhy: why,
      process: {
        health: ({ probe }, signal) => checkHealth({ ...looked, operations: core }, probe ?? false, signal),
        doctor: ({ engine }, signal) => examine(looked, engine, signal),
        listModels: ({ engine }, signal) => listModels(engines, engine, signal),
        listFiles: ({ folder, exclude }, signal) => listFiles(folder, exclude, signal),
        projectConfig: async ({ folder }, signal) => {
          const { path = null, config = null } = (await configs.find(folder, signal)) ?? {};
          return { folder, path, config };
        },
        discover: async ({ baseUrl }, signal) => ({
          ...(await discover(userMachine(), baseUrl, signal)),
          defaultEngine: engines.defaultSpec,
        }),
        useEngine: async ({ engine }) => {
          engines.choose(engine);
          await store.engine.choose(engine);
          emit({ type: 'engine', spec: engine });
          return { engine };
        },
        gatewayClients: async () => {
          const { url, items } = gateway.clients();
          const titled = items.map(async (item) => ({
            ...item,
            lastSessionTitle: item.lastSession && (await titleOf(item.lastSession)),
          }));
          return { url, items: await Promise.all(titled) };
        },
        putGatewayClient: async ({ name, ...change }) => {
          const put = await gateway.putClient(name, change);
          emit({ type: 'client', client: name });
          return put;
        },
        deleteGatewayClient: async ({ name }) => {
          await gatewayClients.delete(name);
          emit({ type: 'client', client: name });
          return {};
        },
        openApi: async () => openApiDocument(),
        listBackups: async (_, signal) => ({
          items: [...(await store.backups.list(signal))],
          restored: store.restored?.backup ?? null,
        }),
        tokenUsage: async (input) =>
          tokenUsage(
            {
              lines: usage.lines,
              prices: await readPrices(pricesFile),
              pricesFile,
              titleOf,
              requestsOf: (session) => core.requestsOf(session),
            },
            input,
          ),
        metrics: async () => metrics.json(await observed()),
        prometheus: async () => ({ text: await metrics.text(await observed()) }),
        encryption: async () => ({ keyId: null, keyFile: null, ...store.encryption }),
        verifyAudit: ({ known }, signal) => store.audit.verify(signal, parseAuditPoint(known)),
      },
      meter: {
        ended: (...facts) => metrics.ended(...facts),
        answered: (...facts) => {
          metrics.answered(...facts);
          if (!store.isReadOnly) counts.changed();
        },
      },
      gateway,
      onRefused: (refusal) => void refusals.note(refusal),
      close: async () => {
        await gateway.close();
        const lost = await core.close();
        await counts.save();
        await usage.close();
        await tools.close();
        await engines.close();
        await store.close();
        return lost;
      },
    };
  };
