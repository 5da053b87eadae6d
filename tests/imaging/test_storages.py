"""Every storage keeps the same promises, each against a server that checks its calls."""

import json
import secrets
import stat
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import boto3
import httpx
import pytest
from django.core.files.base import ContentFile
from moto.server import ThreadedMotoServer

from imaging.storages.base import (
    BadName,
    PictureMissing,
    PictureStorage,
    StorageTrouble,
)
from imaging.storages.local import LocalStorage
from imaging.storages.memory import MemoryStorage, RedisStorage
from imaging.storages.qiniu import QiniuStorage
from imaging.storages.s3 import S3Pictures
from imaging.storages.tencent import TencentStorage
from tests.imaging import cos_server, kodo_server
from tests.imaging.servers import serving

DATA = bytes(range(256)) * 4
KEYS = {"access_key": "AKIAtest", "secret_key": "s3-secret-key-0000"}
Make = Callable[[ExitStack, Path, str], PictureStorage]


def name(extension: str = "png", folder: str = "") -> str:
    text = secrets.token_hex(20)
    return f"{folder or text[:2]}/{text}.{extension}"


@pytest.fixture(scope="module")
def s3_url() -> Iterator[str]:
    """A real S3 server with one bucket."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    url = "http://{}:{}".format(*server.get_host_and_port())
    client = boto3.client(
        "s3",
        endpoint_url=url,
        region_name="us-east-1",
        aws_access_key_id=KEYS["access_key"],
        aws_secret_access_key=KEYS["secret_key"],
    )
    client.create_bucket(Bucket="pictures")
    client.create_bucket(Bucket="open")
    reading = {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject"}
    policy = {"Statement": [{**reading, "Resource": "arn:aws:s3:::open/*"}]}
    client.put_bucket_policy(Bucket="open", Policy=json.dumps(policy))
    yield url
    server.stop()


def s3(url: str, **options: Any) -> S3Pictures:
    given = {"bucket": "pictures", "region": "us-east-1", **KEYS, **options}
    return S3Pictures(endpoint_url=url, **given)


def tencent(server: str, **options: Any) -> TencentStorage:
    return TencentStorage(
        **{
            "secret_id": cos_server.SECRET_ID,
            "secret_key": cos_server.SECRET_KEY,
            "region": "ap-guangzhou",
            "bucket": cos_server.CosServer.bucket,
            "server": server,
            "scheme": "http",
            **options,
        }
    )


def qiniu(server: str, **options: Any) -> QiniuStorage:
    return QiniuStorage(
        **{
            "access_key": kodo_server.ACCESS_KEY,
            "secret_key": kodo_server.SECRET_KEY,
            "bucket": kodo_server.KodoServer.bucket,
            "domain": f"http://{server}",
            "server": server,
            "scheme": "http",
            **options,
        }
    )


@pytest.fixture(params=["local", "memory", "redis", "s3", "tencent", "qiniu"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[PictureStorage]:
    """One storage of each kind, empty or as good as empty."""
    with ExitStack() as stack:
        match request.param:
            case "local":
                yield LocalStorage(tmp_path)
            case "memory":
                yield MemoryStorage(100, 1 << 20)
            case "redis":
                url = request.getfixturevalue("redis_url")
                yield RedisStorage(url, 100, 1 << 20)
            case "s3":
                yield s3(request.getfixturevalue("s3_url"), prefix="made/here")
            case "tencent":
                cos = cos_server.CosServer()
                yield tencent(stack.enter_context(serving(cos)))
                assert not cos.refused
            case "qiniu":
                kodo = kodo_server.KodoServer()
                qiniu_store = qiniu(stack.enter_context(serving(kodo)))
                stack.callback(qiniu_store.close)
                yield qiniu_store
                assert not kodo.refused


@pytest.mark.parametrize("extension", ["png", "jpg", "webp", "gif", "avif"])
def test_what_is_put_comes_back(store: PictureStorage, extension: str) -> None:
    own = name(extension)
    store.put(own, DATA, "image/png")
    assert b"".join(store.chunks(own)) == DATA
    store.remove(own)


@pytest.mark.parametrize(
    ("start", "stop"), [(0, 1), (0, None), (100, 200), (1000, None), (1023, 1024)]
)
def test_a_range_is_read_alone(
    store: PictureStorage, start: int, stop: int | None
) -> None:
    own = name()
    store.put(own, DATA, "image/png")
    assert b"".join(store.chunks(own, start, stop)) == DATA[start:stop]


def test_the_same_name_again_replaces(store: PictureStorage) -> None:
    own = name()
    store.put(own, DATA, "image/png")
    store.put(own, DATA[:9], "image/png")
    assert b"".join(store.chunks(own)) == DATA[:9]


def test_what_is_not_there_is_missing_and_may_be_removed(store: PictureStorage) -> None:
    with pytest.raises(PictureMissing):
        list(store.chunks(name()))
    store.remove(name())


def test_what_is_removed_is_gone(store: PictureStorage) -> None:
    own, other = name(), name()
    store.put(own, DATA, "image/png")
    store.put(other, DATA, "image/png")
    store.remove(own)
    assert not store.exists(own)
    assert store.exists(other)


@pytest.mark.parametrize(
    "bad",
    [
        "../secret_key",
        "/etc/passwd",
        "aa/../../x.png",
        "aa/" + "0" * 40 + ".svg",
        "aa/" + "0" * 40 + ".png/../x",
        "aa/" + "0" * 39 + ".png",
        "AA/" + "0" * 40 + ".png",
        "",
        "aa/" + "0" * 40 + ".png\n",
    ],
)
def test_no_storage_touches_a_name_that_is_none_of_ours(
    store: PictureStorage, bad: str
) -> None:
    with pytest.raises(BadName):
        store.put(bad, DATA, "image/png")
    with pytest.raises(BadName):
        list(store.chunks(bad))
    with pytest.raises(BadName):
        store.remove(bad)


def test_it_is_a_storage_of_djangos(store: PictureStorage) -> None:
    own = name()
    assert store.save(own, ContentFile(DATA)) == own
    with store.open(own) as file:
        assert file.read() == DATA
    store.delete(own)
    assert not store.exists(own)
    with pytest.raises(ValueError):
        store.open(own, "wb")


def test_local_files_are_private_and_whole(tmp_path: Path) -> None:
    folder = tmp_path / "made" / "here"
    own = name()
    LocalStorage(folder).put(own, DATA, "image/png")
    [file] = [path for path in folder.rglob("*") if path.is_file()]
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700


def test_a_local_write_that_fails_leaves_nothing(tmp_path: Path) -> None:
    own = name()
    (tmp_path / own[:2]).write_bytes(b"a file where a folder should be")
    with pytest.raises(StorageTrouble, match="local: writing failed"):
        LocalStorage(tmp_path).put(own, DATA, "image/png")
    assert [path.name for path in tmp_path.iterdir()] == [own[:2]]


def test_drafts_of_dead_processes_are_dropped_after_their_time(tmp_path: Path) -> None:
    store = LocalStorage(tmp_path)
    own = name()
    store.put(own, DATA, "image/png")
    (tmp_path / own[:2] / f".{own[3:]}.ab12.part").write_bytes(b"half")
    assert store.drop_drafts(before=1.0) == 0
    assert store.drop_drafts(before=1e12) == 1
    assert list(store.names(before=1e12)) == [own]
    assert list(store.names(before=1.0)) == []


@pytest.fixture(params=["memory", "redis"])
def bounded(request: pytest.FixtureRequest) -> Callable[..., PictureStorage]:
    if request.param == "memory":
        return MemoryStorage
    import redis

    url = request.getfixturevalue("redis_url")
    with redis.Redis.from_url(url) as client:
        client.flushdb()
    return lambda *bounds: RedisStorage(url, *bounds)


def test_memory_lets_the_oldest_go(bounded: Callable[..., PictureStorage]) -> None:
    store = bounded(3, 1 << 20)
    names = [name() for _ in range(5)]
    for own in names:
        store.put(own, DATA, "image/png")
    assert [store.exists(own) for own in names] == [False, False, True, True, True]


def test_memory_is_bounded_in_bytes_too(bounded: Callable[..., PictureStorage]) -> None:
    store = bounded(100, 2 * len(DATA))
    names = [name() for _ in range(3)]
    for own in names:
        store.put(own, DATA, "image/png")
    assert [store.exists(own) for own in names] == [False, True, True]
    store.remove(names[2])
    store.put(names[0], DATA, "image/png")
    assert store.exists(names[1])


def test_thumbnails_push_no_picture_out_of_memory(
    bounded: Callable[..., PictureStorage],
) -> None:
    store = bounded(1, 1 << 20)
    own = name()
    store.put(own, DATA, "image/png")
    store.put(name("webp", "th"), DATA, "image/webp")
    assert store.exists(own)


def test_redis_that_is_away_is_trouble_without_its_password() -> None:
    store = RedisStorage("redis://:hidden-word@127.0.0.1:1/0", 3, 100)
    for act in (
        lambda: store.put(name(), DATA, "image/png"),
        lambda: list(store.chunks(name())),
        lambda: store.remove(name()),
    ):
        with pytest.raises(StorageTrouble) as caught:
            act()
        assert "hidden-word" not in str(caught.value)


def test_s3_keeps_the_type_and_public_links_open(s3_url: str) -> None:
    store = s3(s3_url, bucket="open", prefix="a/b", public_url=f"{s3_url}/open/")
    own = name()
    store.put(own, DATA, "image/webp")
    assert store.public_url(own) == f"{s3_url}/open/a/b/{own}"
    answer = httpx.get(store.public_url(own))
    assert answer.content == DATA
    assert answer.headers["content-type"] == "image/webp"


def test_s3_hands_out_signed_links_only_when_told_to(s3_url: str) -> None:
    own = name()
    assert s3(s3_url).timed_url(own, 60) == ""
    store = s3(s3_url, hands_out_timed_urls=True)
    store.put(own, DATA, "image/png")
    url = store.timed_url(own, 10**9)
    assert "X-Amz-Expires=604800" in url
    assert KEYS["secret_key"] not in url
    assert httpx.get(url).content == DATA
    assert store.public_url(own) == ""


def test_s3_trouble_names_the_cause_and_no_secret(s3_url: str) -> None:
    store = s3(s3_url, bucket="nowhere")
    with pytest.raises(StorageTrouble, match="NoSuchBucket") as caught:
        store.put(name(), DATA, "image/png")
    assert KEYS["secret_key"] not in str(caught.value)
    dead = s3("http://127.0.0.1:1")
    with pytest.raises(StorageTrouble, match="EndpointConnectionError"):
        dead.put(name(), DATA, "image/png")
    with pytest.raises(StorageTrouble, match="EndpointConnectionError"):
        list(dead.chunks(name()))
    with pytest.raises(StorageTrouble, match="EndpointConnectionError"):
        dead.remove(name())


def _cos(server: str, secret: str) -> PictureStorage:
    return tencent(server, secret_key=secret)


def _kodo(server: str, secret: str) -> PictureStorage:
    return qiniu(server, secret_key=secret)


VENDORS = pytest.mark.parametrize(
    ("handler", "make"),
    [(cos_server.CosServer, _cos), (kodo_server.KodoServer, _kodo)],
    ids=["tencent", "qiniu"],
)


@VENDORS
def test_vendors_refuse_a_wrong_secret_which_no_error_repeats(
    handler: Any, make: Callable[[str, str], PictureStorage]
) -> None:
    service = handler()
    with serving(service) as server:
        store = make(server, "another-secret-key-000000000000")
        own = name()
        with pytest.raises(StorageTrouble) as caught:
            store.put(own, DATA, "image/png")
        with pytest.raises(StorageTrouble):
            list(store.chunks(own))
        with pytest.raises(StorageTrouble):
            store.remove(own)
        store.close()
    assert len(service.refused) == 3
    assert not service.objects
    assert "another-secret" not in str(caught.value)


@VENDORS
def test_vendors_that_are_down_or_away_are_trouble(
    handler: Any, make: Callable[[str, str], PictureStorage]
) -> None:
    service = handler()
    service.broken = True
    right = cos_server.SECRET_KEY if make is _cos else kodo_server.SECRET_KEY
    with serving(service) as server:
        store = make(server, right)
        for act in (
            lambda: store.put(name(), DATA, "image/png"),
            lambda: list(store.chunks(name())),
            lambda: store.remove(name()),
        ):
            with pytest.raises(StorageTrouble) as caught:
                act()
            assert not isinstance(caught.value, PictureMissing)
        store.close()
    away = make("127.0.0.1:1", right)
    with pytest.raises(StorageTrouble):
        away.put(name(), DATA, "image/png")
    with pytest.raises(StorageTrouble):
        list(away.chunks(name()))
    away.close()


def test_vendors_keep_the_type() -> None:
    cos, kodo = cos_server.CosServer(), kodo_server.KodoServer()
    with serving(cos) as one, serving(kodo) as two:
        for store in (tencent(one), qiniu(two)):
            store.put(name("webp"), DATA, "image/webp")
    kinds = [kind for service in (cos, kodo) for kind, _ in service.objects.values()]
    assert kinds == ["image/webp", "image/webp"]


@pytest.mark.parametrize(
    ("domain", "begins"),
    [
        ("pics.example.org", "https://pics.example.org/"),
        ("http://pics.example.org/", "http://pics.example.org/"),
    ],
)
def test_domains_of_buckets_make_public_links(domain: str, begins: str) -> None:
    own = name()
    assert tencent("x", domain=domain).public_url(own) == begins + own
    assert qiniu("x", domain=domain).public_url(own) == begins + own
    assert qiniu("x", domain=domain, is_private=True).public_url(own) == ""
    assert tencent("x").public_url(own) == ""


def test_a_domain_that_ignores_ranges_is_cut_here() -> None:
    kodo = kodo_server.KodoServer()
    with serving(kodo) as server:
        store = qiniu(server)
        own = name()
        store.put(own, DATA * 400, "image/png")

        def whole(asked: Any) -> Any:
            asked.headers.pop("range", None)
            return kodo(asked)

        with serving(whole) as cache:
            beside = qiniu(server, domain=f"http://{cache}")
            assert (
                b"".join(beside.chunks(own, 300_000, 300_010))
                == ((DATA * 400)[300_000:300_010])
            )
            assert b"".join(beside.chunks(own, 400_000)) == (DATA * 400)[400_000:]
            beside.close()
