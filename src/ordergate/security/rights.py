"""What a subject may do now: its roles over its tenant's accounts. Pure, and made anew when access changes.

A subject that has never had a role is bounded by its token and its key alone; one that has had any may do
what its roles come to, be that nothing. An account of another tenant is nobody's.
"""

from __future__ import annotations

from collections import defaultdict

import msgspec

from ordergate.core.access import OF_ACCESS, SCOPES_OF, Principal, Scope
from ordergate.core.ids import AccountId
from ordergate.core.strategies import by_tenant
from ordergate.core.tenancy import Access, Assignment, Reach, Subject


class Rights(msgspec.Struct, frozen=True):
    """Of one subject. `pairs` are the accounts and scopes, `beyond` what is not about an account."""

    subject: Subject
    pairs: frozenset[tuple[AccountId, Scope]] = frozenset()
    beyond: frozenset[Scope] = frozenset()


class Registry:
    def __init__(self, access: Access) -> None:
        self.access = access
        self.strategies = by_tenant(access.strategies)
        self._tenant_of = {place.account: place.tenant for place in access.accounts}
        of_subject: defaultdict[tuple[str, str], list[Assignment]] = defaultdict(list)
        for assignment in access.assignments:
            of_subject[assignment.tenant, assignment.subject].append(assignment)
        self._rights = {
            (subject.tenant, subject.name): self._of(subject, of_subject[subject.tenant, subject.name])
            for subject in access.subjects
        }

    def rights(self, tenant: str, subject: str) -> Rights | None:
        """None for a subject that has never had a role."""
        return self._rights.get((tenant, subject))

    def version(self, tenant: str, subject: str) -> int:
        """Of what the subject may do; -1 once it is kept out."""
        rights = self._rights.get((tenant, subject))
        if rights is None:
            return 0
        return rights.subject.version if rights.subject.enabled else -1

    def narrowed(self, principal: Principal) -> Principal | None:
        """The principal with no more than its subject may do; None for one that is kept out."""
        strangers = {account for account in principal.accounts if not self._is_of(account, principal.tenant)}
        own = principal.accounts - strangers if strangers else principal.accounts
        rights = self.rights(principal.tenant, principal.subject)
        if rights is None:
            return msgspec.structs.replace(principal, accounts=own) if strangers else principal
        if not rights.subject.enabled:
            return None
        pairs = frozenset(
            (account, scope) for account, scope in rights.pairs if account in own and principal.may(scope)
        )
        beyond = frozenset(scope for scope in rights.beyond if principal.may(scope))
        return msgspec.structs.replace(
            principal,
            accounts=frozenset(account for account, _ in pairs),
            scopes=beyond | {scope for _, scope in pairs},
            by_account=pairs,
            version=rights.subject.version,
        )

    def _is_of(self, account: AccountId, tenant: str) -> bool:
        """A gateway places its accounts before it serves: what is not placed is none, or a control stream."""
        return not self._tenant_of or self._tenant_of.get(account) == tenant

    def _of(self, subject: Subject, assignments: list[Assignment]) -> Rights:
        pairs: set[tuple[AccountId, Scope]] = set()
        beyond: set[Scope] = set()
        for assignment in assignments:
            scopes = SCOPES_OF[assignment.role]
            if assignment.reach is Reach.TENANT:
                beyond |= scopes
            pairs |= {
                (place.account, scope)
                for place in self.access.accounts
                if place.tenant == subject.tenant and _reaches(assignment, place.account, place.desk)
                for scope in scopes - OF_ACCESS
            }
        return Rights(subject, frozenset(pairs), frozenset(beyond))


def _reaches(assignment: Assignment, account: AccountId, desk: str | None) -> bool:
    match assignment.reach:
        case Reach.TENANT:
            return True
        case Reach.DESK:
            return desk is not None and assignment.of == desk
        case Reach.ACCOUNT:
            return assignment.of == account
