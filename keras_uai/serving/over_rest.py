"""A model behind TensorFlow Serving's REST interface, with the standard library alone."""

import base64
import http.client
import json
import urllib.error
import urllib.request

import numpy as np

from keras_uai.serving import errors

_TRANSIENT = (408, 429, 502, 503, 504)


class Rest:
    """A model of a server.

    Args:
        url: `http(s)://host:port/v1/models/NAME`, where wanted with `/versions/N`.
    """

    concurrency = 8

    def __init__(self, url):
        self.where = url

    def call(self, signature, inputs, timeout):
        """Outputs of a signature as arrays."""
        body = {"signature_name": signature}
        body["inputs"] = {name: _to_json(name, value) for name, value in inputs.items()}
        request = urllib.request.Request(
            f"{self.where}:predict",
            json.dumps(body, allow_nan=False).encode(),
            {"Content-Type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=timeout) as response:
                answer = json.load(response)
        except urllib.error.HTTPError as error:
            with error:
                raise _error(error) from error
        except ValueError as error:
            raise errors.FailedError(
                f"{self.where} does not answer as TensorFlow Serving does. Received: {error}"
            ) from error
        except (OSError, http.client.HTTPException) as error:
            # Refused, reset, cut short, too late: URLError and TimeoutError are OSErrors.
            reason = getattr(error, "reason", error)
            raise errors.TransientError(f"{type(reason).__name__}: {reason}") from error
        outputs = answer.get("outputs") if isinstance(answer, dict) else None
        if not isinstance(outputs, dict):
            raise errors.FailedError(
                f"{self.where} does not answer as TensorFlow Serving does. Received: no outputs"
            )
        return {name: _from_json(name, value) for name, value in outputs.items()}

    def close(self):
        pass


def _to_json(name, value):
    value = np.asarray(value)
    if not name.endswith("_bytes"):
        return value.tolist()
    return [{"b64": base64.b64encode(v).decode("ascii")} for v in value.tolist()]


def _from_json(name, value):
    if not name.endswith("_bytes"):
        return np.asarray(value)
    return _objects(value)


def _objects(value):
    """Nested lists of `{"b64": text}` as an array of bytes."""
    rows = value if isinstance(value, list) else []
    if rows and isinstance(rows[0], list):
        found = np.empty((len(rows), len(rows[0])), dtype=object)
        for i, row in enumerate(rows):
            found[i] = _objects(row)
        return found
    found = np.empty((len(rows),), dtype=object)
    found[:] = [base64.b64decode(row["b64"]) for row in rows]
    return found


def _error(error):
    text = error.read().decode("utf-8", "replace")
    try:
        text = str(json.loads(text)["error"])
    except (ValueError, KeyError, TypeError):
        text = text.strip() or str(error.reason)
    text = f"{errors.refusal(text)} (HTTP {error.code})"
    if error.code in _TRANSIENT:
        wait = error.headers.get("Retry-After", "")
        return errors.TransientError(text, float(wait) if wait.isdigit() else None)
    if 400 <= error.code < 500:
        return errors.RefusedError(text)
    return errors.FailedError(f"The server failed: {text}")
