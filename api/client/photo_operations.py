"""What a client can do with photos."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

from api.client.calls import Call, Steps
from api.client.paths import PHOTOS, UPLOADS, photo_path
from api.client.photos import Photo
from api.client.sending import Sending
from api.client.values import PhotoRecord, Upload

_SEND_S = 120.0


class PhotoOperations(Sending):
    """Upload, fetch and erase photos."""

    def upload(self, photo: Photo, *, consent: str | None = None, direct: bool = False) -> Steps[str]:
        """Sends a photo unless this client has sent it before; returns its id, the sha256 of its bytes.

        consent: the basis on which the photo is used, stored with it; the photo is sent again to store it.
        direct: past the API, to a signed address of its S3 server.
        """
        name = self.photos.id_of(photo, Path())
        again = consent and self.photos.has(name)
        unsent = self.photos.unsent({"concepts": [{"photos": [name]}]})
        yield from self.send_photos([name] if again else unsent, consent, direct=direct)
        return name

    def photo(self, photo_id: str) -> Steps[bytes]:
        """The photo as it is stored: a PNG, upright and without metadata."""
        answer = yield from self.effort.send(
            # The client's usual Accept, JSON, would give the record instead.
            Call(method="GET", path=photo_path(photo_id), headers={"Accept": "*/*"}, follow=True, timeout_s=_SEND_S)
        )
        return answer.content

    def photo_record(self, photo_id: str) -> Steps[PhotoRecord]:
        """What is stored with a photo: the consent it was sent with."""
        headers = {"Accept": "application/json"}
        return (yield from self.value(PhotoRecord, Call(method="GET", path=photo_path(photo_id), headers=headers)))

    def delete_photo(self, photo_id: str) -> Steps[bool]:
        """Erases a photo and the embeddings of its faces. False: many jobs use it, and the rest is erased later."""
        return (yield from self.erase(photo_path(photo_id), _SEND_S))

    def send_photos(self, names: Sequence[str], consent: str | None, *, direct: bool = False) -> Steps[None]:
        """Sends these photos, which the client has read. Not for callers: `upload` and `submit` use it."""
        for name in names:
            data = self.photos.read(name)
            if direct:
                yield from self._send_directly(data, consent)
            elif consent:
                form = {"consent": consent}
                yield from self._post(Call(method="POST", path=PHOTOS, fields=form, files={"photo": data}))
            else:
                plain = {"Content-Type": "application/octet-stream"}
                yield from self._post(Call(method="POST", path=PHOTOS, content=data, headers=plain))
            self.photos.sent(name)

    def _send_directly(self, data: bytes, consent: str | None) -> Steps[None]:
        place = yield from self.value(Upload, Call(method="POST", path=UPLOADS, json={"bytes": len(data)}))
        yield from self._post(Call(method="PUT", path=place.url, content=data, anonymous=True))
        # RFC 8187: a header in ASCII, whatever the text is.
        headers = {"Troupe-Consent": f"UTF-8''{quote(consent)}"} if consent else {}
        yield from self._post(Call(method="POST", path=PHOTOS, json={"upload": place.id}, headers=headers))

    def _post(self, call: Call) -> Steps[None]:
        yield from self.effort.send(replace(call, timeout_s=_SEND_S))
