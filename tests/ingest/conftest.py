import pytest


@pytest.fixture
def anyio_backend() -> str:
    """Coroutine tests run on asyncio, as the receiver does."""
    return "asyncio"
