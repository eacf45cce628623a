"""A caller may do what the scopes of the token say, and administrators everything."""

import pytest

from app.access.principal import Principal, Scope
from app.errors import Forbidden
from app.index.restriction import Action
from app.index.visibility import Visibility


def principal(*scopes: Scope) -> Principal:
    return Principal(token_id=1, name="n", partition_id=7, scopes=frozenset(scopes))


@pytest.mark.parametrize("scope", Scope)
def test_each_scope_allows_itself(scope: Scope) -> None:
    principal(scope).demand(scope)


@pytest.mark.parametrize("scope", Scope)
def test_administrators_may_do_everything(scope: Scope) -> None:
    principal(Scope.ADMIN).demand(scope)


@pytest.mark.parametrize("scope", Scope)
def test_nothing_else_is_implied(scope: Scope) -> None:
    others = set(Scope) - {scope, Scope.ADMIN}
    with pytest.raises(Forbidden, match=scope.value):
        principal(*others).demand(scope)


def test_a_caller_sees_the_own_partition() -> None:
    assert principal(Scope.READ).visibility_for(Action.READ) == Visibility(7)
