"""One page for one signed-in person: whose it is, which workspace it is about, and how it is rendered."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import azure.functions as func

from shared.http.pages import Pages
from shared.http.portal.queries import PageQueries
from shared.http.portal.views import NAVIGATION
from shared.identity.model import ROOT
from shared.identity.service import Identity
from shared.identity.sign_in import Session
from shared.loganalytics.workspaces.model import Workspace


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    session: Session
    workspace: Workspace
    workspaces: Sequence[Workspace]
    queries: PageQueries
    identity: Identity
    pages: Pages

    def allow(self, action: str) -> None:
        """AuthorizationFailed, unless the person may do this in the workspace."""
        self.identity.authorize(self.session.principal, action, self.workspace.resource_id)

    def allow_everywhere(self, action: str) -> None:
        """AuthorizationFailed, unless the person may do this in every workspace: for what belongs to none of them."""
        self.identity.authorize(self.session.principal, action)

    def may_everywhere(self, action: str) -> bool:
        return self.identity.access.allows(self.session.principal, action, ROOT)

    def show(self, template: str, *, here: str, **values: Any) -> func.HttpResponse:
        return self.pages.page(
            template,
            {
                "csrf": self.session.csrf,
                "principal": self.session.principal.name,
                "workspace": self.workspace,
                "workspaces": self.workspaces,
                "navigation": NAVIGATION,
                "here": here,
                **values,
            },
        )
