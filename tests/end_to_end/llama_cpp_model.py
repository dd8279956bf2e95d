"""llama.cpp through its C API: a GGUF loaded on the CPU, its logits and its tokens.

The library is that of xllamacpp (a wheel) or of llama-cpp-python (compiled where it is installed); the structures are
those of llama.h in the versions of requirements.txt, checked against the library's own defaults.
"""

import ctypes
import importlib.util
import os
import sys
from pathlib import Path

import numpy as np

LIBRARIES = [("llama_cpp", "lib/libllama.so"), ("xllamacpp", "xllamacpp.abi3.so")]


class ModelParams(ctypes.Structure):
    _fields_ = [
        ("devices", ctypes.c_void_p), ("tensor_buft_overrides", ctypes.c_void_p), ("n_gpu_layers", ctypes.c_int32),
        ("split_mode", ctypes.c_int), ("load_mode", ctypes.c_int), ("lazy_mode", ctypes.c_int),
        ("main_gpu", ctypes.c_int32), ("tensor_split", ctypes.c_void_p), ("progress_callback", ctypes.c_void_p),
        ("progress_callback_user_data", ctypes.c_void_p), ("kv_overrides", ctypes.c_void_p),
        ("vocab_only", ctypes.c_bool), ("check_tensors", ctypes.c_bool), ("use_extra_bufts", ctypes.c_bool),
        ("no_host", ctypes.c_bool), ("no_alloc", ctypes.c_bool), ("load_mtp", ctypes.c_bool),
    ]


class ContextParams(ctypes.Structure):
    _fields_ = [
        *((name, ctypes.c_uint32) for name in ("n_ctx", "n_batch", "n_ubatch", "n_seq_max", "n_rs_seq",
                                               "n_outputs_max", "n_outputs_max_per_seq")),
        *((name, ctypes.c_int32) for name in ("n_threads", "n_threads_batch", "ctx_type", "rope_scaling_type",
                                              "pooling_type", "attention_type", "flash_attn_type")),
        *((name, ctypes.c_float) for name in ("rope_freq_base", "rope_freq_scale", "yarn_ext_factor",
                                              "yarn_attn_factor", "yarn_beta_fast", "yarn_beta_slow")),
        ("yarn_orig_ctx", ctypes.c_uint32), ("defrag_thold", ctypes.c_float), ("cb_eval", ctypes.c_void_p),
        ("cb_eval_user_data", ctypes.c_void_p), ("type_k", ctypes.c_int), ("type_v", ctypes.c_int),
        ("abort_callback", ctypes.c_void_p), ("abort_callback_data", ctypes.c_void_p),
        *((name, ctypes.c_bool) for name in ("embeddings", "offload_kqv", "no_perf", "op_offload", "swa_full",
                                             "kv_unified")),
        ("samplers", ctypes.c_void_p), ("n_samplers", ctypes.c_size_t), ("ctx_other", ctypes.c_void_p),
    ]


class Batch(ctypes.Structure):
    _fields_ = [
        ("n_tokens", ctypes.c_int32), ("token", ctypes.POINTER(ctypes.c_int32)), ("embd", ctypes.c_void_p),
        ("pos", ctypes.POINTER(ctypes.c_int32)), ("n_seq_id", ctypes.POINTER(ctypes.c_int32)),
        ("seq_id", ctypes.POINTER(ctypes.POINTER(ctypes.c_int32))), ("logits", ctypes.POINTER(ctypes.c_int8)),
    ]


class QuantizeParams(ctypes.Structure):
    _fields_ = [
        ("nthread", ctypes.c_int32), ("ftype", ctypes.c_int), ("output_tensor_type", ctypes.c_int),
        ("token_embedding_type", ctypes.c_int),
        *((name, ctypes.c_bool) for name in ("allow_requantize", "quantize_output_tensor", "only_copy", "pure",
                                             "keep_split", "dry_run")),
        ("imatrix", ctypes.c_void_p), ("kv_overrides", ctypes.c_void_p), ("tt_overrides", ctypes.c_void_p),
        ("prune_layers", ctypes.c_void_p), ("max_buf_size", ctypes.c_size_t),
    ]


_pointer, _int = ctypes.c_void_p, ctypes.c_int32
SIGNATURES = {
    "llama_backend_init": (None, []),
    "llama_log_set": (None, [_pointer, _pointer]),
    "llama_model_default_params": (ModelParams, []),
    "llama_context_default_params": (ContextParams, []),
    "llama_model_load_from_file": (_pointer, [ctypes.c_char_p, ModelParams]),
    "llama_init_from_model": (_pointer, [_pointer, ContextParams]),
    "llama_model_get_vocab": (_pointer, [_pointer]),
    "llama_vocab_n_tokens": (_int, [_pointer]),
    "llama_batch_init": (Batch, [_int, _int, _int]),
    "llama_batch_free": (None, [Batch]),
    "llama_decode": (_int, [_pointer, Batch]),
    "llama_get_logits": (ctypes.POINTER(ctypes.c_float), [_pointer]),
    "llama_tokenize": (_int, [_pointer, ctypes.c_char_p, _int, ctypes.POINTER(_int), _int, ctypes.c_bool, ctypes.c_bool]),
    "llama_free": (None, [_pointer]),
    "llama_model_free": (None, [_pointer]),
}


@ctypes.CFUNCTYPE(None, ctypes.c_int, ctypes.c_char_p, _pointer)
def _silent(level, text, data):
    pass


def _open():
    """The library, where it came from, and why there is none."""
    for package, name in LIBRARIES:
        spec = importlib.util.find_spec(package)
        if not spec:
            continue
        library = ctypes.CDLL(str(Path(spec.origin).parent / name))
        for function, (result, arguments) in SIGNATURES.items():
            getattr(library, function).restype = result
            getattr(library, function).argtypes = arguments
        context, model = library.llama_context_default_params(), library.llama_model_default_params()
        known = (context.n_ctx, context.n_batch, context.type_k, context.type_v, context.yarn_ext_factor,
                 context.n_samplers, model.use_extra_bufts, model.vocab_only)
        if known != (512, 2048, 1, 1, -1, 0, True, False):
            return None, package, f"{package} has another llama.h than this test knows: {known}"
        library.llama_log_set(ctypes.cast(_silent, _pointer), None)
        library.llama_backend_init()
        return library, package, ""
    return None, "", "neither xllamacpp nor llama-cpp-python is installed"


llama, PACKAGE, WHY_NOT = _open()


def end_of_checks():
    """Ends a test whose other checks passed: as skipped where llama.cpp is missing."""
    if WHY_NOT:
        print(f"skipped: llama.cpp: {WHY_NOT}; the other checks passed")
        sys.exit(77)
    print(f"llama.cpp: that of {PACKAGE}")


class LlamaCppModel:
    """`with LlamaCppModel(path, n_ctx) as model`; n_ctx also says which of longrope's factors are used. `exact` is one
    thread and float32 all through; without it llama.cpp has its own defaults, on all cores."""

    def __init__(self, path, n_ctx=512, exact=True):
        params = llama.llama_model_default_params()
        params.n_gpu_layers = 0
        self.model = llama.llama_model_load_from_file(str(path).encode(), params)
        assert self.model, f"llama.cpp does not load {path}"
        self.vocab = llama.llama_model_get_vocab(self.model)
        params = llama.llama_context_default_params()
        params.n_ctx = params.n_batch = n_ctx
        params.n_threads = params.n_threads_batch = 1 if exact else os.cpu_count()
        if exact:
            params.n_ubatch = n_ctx
            params.type_k = params.type_v = 0  # a float32 cache instead of float16
            params.flash_attn_type = 0
            params.swa_full = True
        self.context = llama.llama_init_from_model(self.model, params)
        assert self.context, f"llama.cpp makes no context for {path}"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        llama.llama_free(self.context)
        llama.llama_model_free(self.model)

    def logits(self, ids, first=0, only_last=False):
        """[len(ids), vocabulary] float32, or [1, vocabulary]; ids[0] is at position `first`, behind what was read."""
        batch = llama.llama_batch_init(len(ids), 0, 1)
        batch.n_tokens = len(ids)
        for i, token in enumerate(ids):
            batch.token[i], batch.pos[i] = token, first + i
            batch.logits[i] = not only_last or i + 1 == len(ids)
            batch.n_seq_id[i], batch.seq_id[i][0] = 1, 0
        status = llama.llama_decode(self.context, batch)
        assert status == 0, f"llama_decode: {status}"
        rows = 1 if only_last else len(ids)
        size = llama.llama_vocab_n_tokens(self.vocab)
        values = np.ctypeslib.as_array(llama.llama_get_logits(self.context), shape=(rows, size)).copy()
        llama.llama_batch_free(batch)
        return values

    def tokenize(self, text, add_special=False):
        data = text.encode()
        out = (ctypes.c_int32 * (len(data) + 8))()
        count = llama.llama_tokenize(self.vocab, data, len(data), out, len(out), add_special, True)
        assert count >= 0, count
        return list(out[:count])


def can_quantize():
    return bool(llama) and hasattr(llama, "llama_model_quantize")


def llama_cpp_quantize(source, out, name):
    """`name` as in longspan convert --type, with llama.cpp's defaults."""
    llama.llama_model_quantize_default_params.restype = QuantizeParams
    params = llama.llama_model_quantize_default_params()
    params.ftype = {"Q4_0": 2, "Q8_0": 7, "Q4_K_M": 15}[name]
    params.nthread = 2
    status = llama.llama_model_quantize(str(source).encode(), str(out).encode(), ctypes.byref(params))
    assert status == 0, f"llama_model_quantize: {status}"
