"""vLLM's own tiered KV offload, file tier included, on a machine whose "GPU" is the CPU.

vLLM's worker moves blocks between device and host with CUDA streams. Where device memory is host memory one copy does it; that copy is all
this module replaces. The scheduler, the tier manager, the host tier, the file tier, the file names and the metrics are vLLM's (0.32).

    "spec_name": "HostTieringSpec", "spec_module_path": "host_tiering"
"""

import time

import torch
from vllm.v1.kv_offload.base import CanonicalKVCaches, GPULoadStoreSpec, LoadStoreSpec, OffloadingWorker, TransferResult
from vllm.v1.kv_offload.cpu.shared_offload_region import SharedOffloadRegion
from vllm.v1.kv_offload.tiering.spec import TieringOffloadingSpec


class HostMemoryWorker(OffloadingWorker):
    """Copies whole blocks at once when they are submitted, so nothing is ever under way."""

    def __init__(self, kv_caches: CanonicalKVCaches, region: SharedOffloadRegion):
        self._region = region
        self._refs_per_group = kv_caches.group_data_refs
        self._device = [t.tensor.view(torch.int8).view(-1, t.page_size_bytes) for t in kv_caches.tensors]
        self._host = [region.create_next_worker_view(t.page_size_bytes) for t in kv_caches.tensors]
        self._finished: list[TransferResult] = []

    def submit_store(self, job_id: int, src_spec: LoadStoreSpec, dst_spec: LoadStoreSpec) -> bool:
        return self._copy(job_id, device_spec=src_spec, host_spec=dst_spec, source=self._device, target=self._host)

    def submit_load(self, job_id: int, src_spec: LoadStoreSpec, dst_spec: LoadStoreSpec) -> bool:
        return self._copy(job_id, device_spec=dst_spec, host_spec=src_spec, source=self._host, target=self._device)

    def _copy(self, job_id: int, device_spec: GPULoadStoreSpec, host_spec, source, target) -> bool:
        started = time.monotonic()
        device_ids = torch.from_numpy(device_spec.block_ids.astype("int64"))
        host_ids = torch.from_numpy(host_spec.block_ids.astype("int64"))
        from_ids, to_ids = (device_ids, host_ids) if source is self._device else (host_ids, device_ids)
        copied, start = 0, 0
        for refs, size in zip(self._refs_per_group, device_spec.group_sizes, strict=True):
            of_group = slice(start, start + size)
            for ref in refs:
                n = ref.page_size_bytes
                target[ref.tensor_idx][to_ids[of_group], :n] = source[ref.tensor_idx][from_ids[of_group], :n]
                copied += size * n
            start += size
        self._finished.append(TransferResult(job_id=job_id, success=True, transfer_size=copied, transfer_time=time.monotonic() - started))
        return True

    def get_finished(self) -> list[TransferResult]:
        finished, self._finished = self._finished, []
        return finished

    def wait(self, job_ids: set[int]) -> None:
        """Nothing to wait for: a submitted copy is a finished one."""

    def shutdown(self) -> None:
        self._device.clear()
        self._host.clear()
        self._region.cleanup()


class HostTieringSpec(TieringOffloadingSpec):
    def get_worker(self, kv_caches: CanonicalKVCaches) -> OffloadingWorker:
        if self._worker is None:
            if self.blocks_per_chunk != 1:
                raise ValueError("HostTieringSpec moves single blocks: leave the offloaded block size at the device's")
            region = SharedOffloadRegion(
                engine_id=self._engine_id,
                num_chunks=self.num_chunks,
                rank=self.config.parallel.rank,
                kv_bytes_per_chunk=self.kv_bytes_per_chunk,
                cpu_page_size=self.cpu_page_size_per_worker,
            )
            self._worker = HostMemoryWorker(kv_caches, region)
        return self._worker
