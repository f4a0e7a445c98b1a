"""Running an encoder with onnxruntime: one built from weights (bert_onnx), or an .onnx file of the user."""

from __future__ import annotations

from typing import Any

import numpy as np

from vicino.errors import CorruptionError, InvalidArgument
from vicino.models.extra import import_extra
from vicino.models.runner import Floats, TokenIds

_POOLED_OUTPUT = "sentence_embedding"
_TOKEN_OUTPUTS = ("last_hidden_state", "token_embeddings")
_INTEGERS = {"tensor(int64)": np.int64, "tensor(int32)": np.int32}
_LOG_ERRORS_ONLY = 3


class OnnxRunner:
    def __init__(self, model: str | bytes, *, path: str, weights_folder: str | None = None, threads: int | None = None) -> None:
        """model: path of an .onnx file, or its bytes. path: the file to name in errors. weights_folder: where its external tensors lie."""
        self._session = open_session(model, path=path, weights_folder=weights_folder, threads=threads, purpose="run embedding models")
        self._path = path
        self._threads = threads
        self._version = import_extra("onnxruntime", "run embedding models").__version__
        self._inputs = integer_inputs(path, self._session)
        self._output = _choose_output(path, [(output.name, len(output.shape)) for output in self._session.get_outputs()])
        self.dim = int(self.run(np.zeros((1, 1), dtype=np.int64), np.ones((1, 1), dtype=np.int64)).shape[-1])

    def facts(self) -> dict[str, Any]:
        return {"runner": "onnx", "version": self._version, "threads": self._threads}

    def run(self, ids: TokenIds, mask: TokenIds) -> Floats:
        available = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
        feed = {name: available[name].astype(integer, copy=False) for name, integer in self._inputs.items()}
        try:
            states = self._session.run([self._output], feed)[0]
        except Exception as error:
            raise failed_batch(self._path, ids.shape, error) from error
        return np.asarray(states, dtype=np.float32)


def open_session(model: str | bytes, *, path: str, purpose: str, weights_folder: str | None = None, threads: int | None = None) -> Any:
    """A session of onnxruntime on the processor. Arguments as in `OnnxRunner`; purpose: what onnxruntime is needed for, for the error."""
    onnxruntime = import_extra("onnxruntime", purpose)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = _LOG_ERRORS_ONLY
    options.intra_op_num_threads = threads or 0
    # Threads that wait for the next batch must sleep: spinning would take a core from the database in the same process.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    # Without the arena memory follows the batch in work; with it the largest batch ever seen stays allocated.
    options.enable_cpu_mem_arena = False
    if weights_folder is not None:
        options.add_session_config_entry("session.model_external_initializers_file_folder_path", weights_folder)
    try:
        return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its exceptions share no base of their own
        raise CorruptionError(f"{path}: onnxruntime {onnxruntime.__version__} cannot load this model: {error}") from error


def failed_batch(path: str, shape: tuple[int, ...], error: Exception) -> InvalidArgument:
    """The error for a model that could not be run on (texts, tokens)."""
    return InvalidArgument(f"{path}: the model failed on a batch of {shape[0]} x {shape[1]} tokens: {error}")


def integer_inputs(path: str, session: Any) -> dict[str, type[np.signedinteger[Any]]]:
    """What a model takes, by name. Raises InvalidArgument for an input that tokens cannot fill."""
    return {put.name: _integer_type(path, put) for put in session.get_inputs()}


def _integer_type(path: str, put: Any) -> type[np.signedinteger[Any]]:
    if put.name not in ("input_ids", "attention_mask", "token_type_ids"):
        raise InvalidArgument(f'{path}: the model wants an input "{put.name}"; known are input_ids, attention_mask and token_type_ids')
    if put.type not in _INTEGERS:
        raise InvalidArgument(f'{path}: input "{put.name}" has type {put.type}, expected one of {", ".join(_INTEGERS)}')
    return _INTEGERS[put.type]


def _choose_output(path: str, outputs: list[tuple[str, int]]) -> str:
    """A pooled output if the model has one, else the states of its tokens."""
    ranks = dict(outputs)
    for name in (_POOLED_OUTPUT, *_TOKEN_OUTPUTS):
        if ranks.get(name) in (2, 3):
            return name
    if not (of_tokens := [name for name, rank in outputs if rank == 3]):
        raise InvalidArgument(f"{path}: no output with vectors of texts or tokens; its outputs are {', '.join(ranks) or 'none'}")
    return of_tokens[0]
