"""What every object store does; a backend's test class inherits it and gives the ``store``."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from behemoth.stores.at_once import MANY

KEY = "2019/10/31/BTC-USD_0000.h5"


class StoreContract:
    """The laws of `behemoth.stores.base.ObjectStore`."""

    def test_what_is_put_comes_back(self, store):
        """An object gives back exactly the bytes that were put, none and NULs included."""
        for key, data in {KEY: bytes(range(256)) * 999, "log/1": b"", "a": b"\0"}.items():
            store.put(key, data)
            assert data == store.get(key)
            assert store.exists(key)

    def test_put_leaves_nothing_staged(self, store):
        """After a put, successful or refused, nothing stays behind in the staging folder."""
        store.put(KEY, b"first")
        with pytest.raises(FileExistsError):
            store.put(KEY, b"second")
        assert store.keys("tmp/") == []

    def test_nothing_is_overwritten(self, store):
        """A taken key refuses a second object and keeps the first."""
        store.put(KEY, b"first")
        with pytest.raises(FileExistsError):
            store.publish(store.stage(b"second"), KEY)
        assert store.get(KEY) == b"first"

    def test_what_is_missing_is_not_found(self, store):
        """A missing object is not found, does not exist, and is fine to remove."""
        with pytest.raises(FileNotFoundError):
            store.get(KEY)
        assert not store.exists(KEY)
        store.remove(KEY)
        store.discard("tmp/gone")

    def test_staged_is_not_published(self, store):
        """Staged bytes have no name until they are published."""
        store.stage(b"ticks")
        assert not store.exists(KEY)
        assert store.keys("2019/") == []

    @pytest.mark.parametrize("count", [0, 1, 3, MANY, 100])
    def test_many_are_staged_together(self, store, count):
        """The handles come in the order of the objects, and each can be published."""
        data = [b"%d" % number for number in range(count)]
        staged = store.stage_all(data)
        assert sorted(set(staged)) == store.keys("tmp/")
        keys = [f"2019/{number}" for number in range(count)]
        for handle, key in zip(staged, keys, strict=True):
            store.publish(handle, key)
        store.sync(keys)
        assert data == [store.get(key) for key in keys]

    def test_a_staged_object_that_is_gone(self, store):
        """Publishing what somebody swept away says so and makes no name."""
        staged = store.stage(b"ticks")
        store.discard(staged)
        with pytest.raises(FileNotFoundError):
            store.publish(staged, KEY)
        assert not store.exists(KEY)

    def test_published_twice(self, store):
        """One staged object may get several names, which outlive it and each other."""
        staged = store.stage(b"ticks")
        store.publish(staged, KEY)
        store.publish(staged, "2019/10/31/BTC-USD_0001.h5")
        store.sync([KEY, "2019/10/31/BTC-USD_0001.h5"])
        store.discard(staged)
        store.remove(KEY)
        assert store.get("2019/10/31/BTC-USD_0001.h5") == b"ticks"

    def test_keys(self, store):
        """Keys are listed sorted, below one folder at any depth, and none where nothing is."""
        for key in ("index/b", "index/a/c", "index2/d", "index/a.json"):
            store.put(key, b"")
        assert store.keys("index/") == ["index/a.json", "index/a/c", "index/b"]
        assert [*store.keys("index/"), "index2/d"] == store.keys("")
        assert store.keys("log/") == []

    @pytest.mark.parametrize(
        "key", ["", "/etc/passwd", "../up", "a/../../up", "a//b", "a/.", "a/", "a\0b"]
    )
    def test_keys_stay_inside(self, store, key):
        """A key that is not a plain path below the root is refused by every verb."""
        staged = store.stage(b"")
        for verb in (store.get, store.exists, store.remove, store.where):
            with pytest.raises(ValueError, match="relative path"):
                verb(key)
        with pytest.raises(ValueError, match="relative path"):
            store.publish(staged, key)

    def test_destroy(self, store):
        """Destroying removes the named folders, missing ones are fine, and keeps all else."""
        for key in (KEY, "log/1", "notes/mine"):
            store.put(key, b"")
        store.destroy(["2019", "2020", "tmp", "log"])
        assert store.keys("") == ["notes/mine"]

    def test_after_destroy_it_starts_anew(self, store):
        """A destroyed store is empty and can be filled again."""
        store.put(KEY, b"first")
        store.destroy(["2019", "tmp"])
        store.put(KEY, b"second")
        assert store.get(KEY) == b"second"

    def test_one_racer_wins(self, store):
        """Of eight threads that publish the same key at once, exactly one succeeds."""
        barrier = Barrier(8)

        def publish(number):
            staged = store.stage(b"%d" % number)
            barrier.wait()
            try:
                store.publish(staged, KEY)
            except FileExistsError:
                return None
            return b"%d" % number

        with ThreadPoolExecutor(8) as pool:
            winners = [won for won in pool.map(publish, range(8)) if won is not None]
        assert winners == [store.get(KEY)]

    def test_messages_name_the_object(self, store):
        """What messages call an object names the store and the key."""
        assert store.where(KEY).startswith(store.name)
        assert store.where(KEY).endswith(KEY)
