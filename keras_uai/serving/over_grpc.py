"""A model behind TensorFlow Serving's gRPC interface."""

from keras_uai.serving import errors

_TRANSIENT = ("UNAVAILABLE", "DEADLINE_EXCEEDED", "ABORTED")
_REFUSED = (
    "INVALID_ARGUMENT", "NOT_FOUND", "FAILED_PRECONDITION", "OUT_OF_RANGE", "UNIMPLEMENTED",
    "RESOURCE_EXHAUSTED", "PERMISSION_DENIED", "UNAUTHENTICATED",
)  # fmt: skip


class Grpc:
    """A model of a server.

    Args:
        address: `host:port`.
        model: its name.
        version: integer, or None for the server's latest.
        secure: whether the connection is encrypted.
    """

    concurrency = 8

    def __init__(self, address, model, version=None, secure=False):
        import grpc
        from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

        self.where = f"grpc{'s' if secure else ''}://{address}/{model}"
        self._grpc, self._request = grpc, predict_pb2.PredictRequest
        self._model, self._version = model, version
        # An answer may be as large as the model's limits allow.
        options = [(f"grpc.max_{way}_message_length", -1) for way in ("send", "receive")]
        credentials = (grpc.ssl_channel_credentials(),) if secure else ()
        channel = grpc.secure_channel if secure else grpc.insecure_channel
        self._channel = channel(address, *credentials, options=options)
        self._stub = prediction_service_pb2_grpc.PredictionServiceStub(self._channel)

    def call(self, signature, inputs, timeout):
        """Outputs of a signature as arrays."""
        import tensorflow as tf

        request = self._request()
        request.model_spec.name, request.model_spec.signature_name = self._model, signature
        if self._version is not None:
            request.model_spec.version.value = self._version
        for name, value in inputs.items():
            request.inputs[name].CopyFrom(tf.make_tensor_proto(value))
        try:
            response = self._stub.Predict(request, timeout=timeout)
        except self._grpc.RpcError as error:
            raise _error(error.code().name, error.details() or "", timeout) from error
        return {name: tf.make_ndarray(value) for name, value in response.outputs.items()}

    def close(self):
        self._channel.close()


def _error(code, details, timeout):
    if code in _TRANSIENT:
        late = f" within {timeout:g} s" if code == "DEADLINE_EXCEEDED" else ""
        return errors.TransientError(f"{code}{late}: {errors.refusal(details)}")
    if code in _REFUSED:
        return errors.RefusedError(f"{errors.refusal(details)} ({code})")
    return errors.FailedError(f"The server failed with {code}: {errors.refusal(details)}")
