"""Registering a cluster, and the sites where clusters stand."""

from __future__ import annotations

import reflex as rx

from gmtool.pages import Page
from gmtool.pages.platform.forms import ClusterForms, RegisterWizard, Sites
from gmtool.shell.layout import layout


def register() -> rx.Component:
    """`/platform/clusters/register`"""
    return layout(
        RegisterWizard.create(
            sites=ClusterForms.sites,
            contexts=ClusterForms.contexts,
            stages=ClusterForms.stages,
            running=ClusterForms.running,
            problem=ClusterForms.problem,
            finished=ClusterForms.finished,
            on_contexts=ClusterForms.read_kubeconfig,
            on_check=ClusterForms.check,
            on_register=ClusterForms.register,
            on_site=ClusterForms.save_site,
            on_reset=ClusterForms.begin,
        ),
        path="/platform/clusters",
        title="register.title",
        pickers=False,
    )


def sites() -> rx.Component:
    """`/platform/sites`"""
    return layout(
        Sites.create(
            sites=ClusterForms.sites,
            running=ClusterForms.running,
            problem=ClusterForms.problem,
            finished=ClusterForms.finished,
            on_save=ClusterForms.save_site,
            on_delete=ClusterForms.delete_site,
            on_reset=ClusterForms.begin,
        ),
        path="/platform/sites",
        pickers=False,
    )


PAGES = (
    Page("/platform/clusters/register", register, (ClusterForms.load_sites,)),
    Page("/platform/sites", sites, (ClusterForms.load_sites,)),
)
