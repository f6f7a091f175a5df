"""Endpoints for reports: order, list, read and download."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core import signing
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request

from core import clock
from core.api import filters, schema
from core.api.pagination import page, refuse_unknown
from core.api.serializers import DayField, MetadataField, StrictSerializer
from core.api.views import ApiResponse
from core.files import as_download
from merchants.api.idempotency import run_once
from merchants.api.views import MerchantView
from merchants.models import ApiKey, Merchant
from payments.models import Report
from payments.resources.report import SIGNER, file_name
from payments.resources.report import report as report_resource
from payments.services import report as report_service
from payments.services.report_file import path_of

CONTENT_TYPES = {
    Report.Format.CSV: "text/csv; charset=utf-8",
    Report.Format.XLSX: "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}


class ReportRequest(StrictSerializer):
    """The request for a report."""

    type = serializers.ChoiceField(
        choices=Report.Type.choices,
        help_text="`payments`: payments created in the period. `payouts`: payouts created in the period. "
        "`balance_transactions`: movements booked in the period. "
        "`statement`: opening balance, movements by the day on which the money moved, closing balance",
    )
    format = serializers.ChoiceField(
        choices=Report.Format.values,
        default=Report.Format.CSV,
        help_text="`csv`: for processing by programs. `xlsx`: an Excel workbook with typed cells",
    )
    start_date = DayField(help_text="The first day, in Mexico City")
    end_date = DayField(help_text="The last day, inclusive; a period has at most 366 days")
    metadata = MetadataField(required=False, help_text="Your own data: up to 50 texts")

    def wanted(self) -> report_service.NewReport:
        """The validated request for the service."""
        fields = self.validated_data
        return report_service.NewReport(
            type=Report.Type(fields["type"]),
            format=Report.Format(fields["format"]),
            start_date=fields["start_date"],
            end_date=fields["end_date"],
            metadata=fields.get("metadata", {}),
        )


class ReportFile(serializers.Serializer[Any]):
    """The file of a report."""

    name = serializers.CharField(help_text="File name of the download")
    size = serializers.IntegerField(help_text="Size in bytes")
    sha256 = serializers.CharField(help_text="SHA-256 of the file, in hexadecimal")
    expires_at = serializers.DateTimeField(help_text="When the file is removed")
    download_url = serializers.URLField(
        allow_null=True,
        help_text="Downloads the file without an API key: treat it like a password. Every read returns a new URL; "
        "null in events and after the file is removed",
    )
    download_url_expires_at = serializers.DateTimeField(allow_null=True, help_text="When `download_url` expires")


class ReportObject(serializers.Serializer[Any]):
    """A file about a period, written in the background."""

    id = serializers.CharField(help_text="`rep_…`")
    object = serializers.ChoiceField(choices=["report"], help_text="Always `report`")
    livemode = serializers.BooleanField(help_text="Whether it is about real money")
    created_at = serializers.DateTimeField(help_text="When it was ordered")
    type = serializers.ChoiceField(choices=Report.Type.values, help_text="The content of the file")
    format = serializers.ChoiceField(choices=Report.Format.values, help_text="The format of the file")
    start_date = serializers.DateField(help_text="The first day, in Mexico City")
    end_date = serializers.DateField(help_text="The last day, inclusive")
    status = serializers.ChoiceField(
        choices=Report.Status.values, help_text="`completed` (event `report.ready`) when the file can be downloaded"
    )
    rows_done = serializers.IntegerField(help_text="Rows written so far")
    rows_total = serializers.IntegerField(allow_null=True, help_text="Total number of rows; null until it is known")
    completed_at = serializers.DateTimeField(allow_null=True, help_text="When it was completed or failed")
    failure = schema.Failure(allow_null=True, help_text="Why it is `failed` (event `report.failed`)")
    file = ReportFile(allow_null=True, help_text="The file of a `completed` report")
    metadata = serializers.DictField(child=serializers.CharField(), help_text="Your own data, as you sent it")


class ReportPage(serializers.Serializer[Any]):
    """One page of reports."""

    data = ReportObject(many=True, help_text="The reports, newest first")  # type: ignore[assignment]
    has_more = serializers.BooleanField(help_text="Whether there is another page")
    next_cursor = serializers.CharField(allow_null=True, help_text="Send it as `cursor` to get the next page")


class ReportsView(MerchantView):
    """``POST`` orders a report, ``GET`` lists them, newest first."""

    scopes = {"GET": ApiKey.Scope.REPORTS_READ, "POST": ApiKey.Scope.REPORTS_READ}

    @extend_schema(
        tags=["reports"],
        operation_id="create_report",
        summary="Order a report",
        description="A CSV file or an Excel workbook about a period, written in the background: the event "
        "`report.ready` says that it can be downloaded. Amounts are in pesos with two decimals, times in Mexico City, "
        "headings in Spanish. In CSV, text that a spreadsheet would evaluate has a backslash before its `=`, `+`, `-` "
        "or `@`; other text is unchanged. An Idempotency-Key is optional and works as for payments.",
        parameters=[
            OpenApiParameter(
                "Idempotency-Key",
                schema.KEY,
                OpenApiParameter.HEADER,
                required=False,
                description="A unique value for each report; send it again when you retry",
            )
        ],
        request=ReportRequest,
        responses={202: ReportObject, **schema.problems(409, 422)},
    )
    def post(self, request: Request) -> HttpResponseBase:
        wanted = ReportRequest(data=request.data)
        wanted.is_valid(raise_exception=True)
        new = wanted.wanted()

        def create() -> Report:
            return report_service.create(self.merchant, livemode=self.livemode, wanted=new, origin=self.origin)

        def render(report: Report) -> dict[str, Any]:
            return report_resource(report, with_link=False)

        if "Idempotency-Key" in request.headers:
            return run_once(
                self,
                request,
                create=create,
                find=lambda public_id: self.find(Report.objects.all(), public_id),
                public_id=lambda report: report.public_id,
                render=render,
                status=202,
            )
        with transaction.atomic():
            report = create()
        return ApiResponse(render(report), status=202)

    @extend_schema(
        tags=["reports"],
        operation_id="list_reports",
        summary="List reports",
        description="Your reports in the key's mode, newest first, including those whose file was removed.",
        parameters=[
            *schema.PAGE,
            OpenApiParameter("status", enum=Report.Status.values, description="Only reports in this state"),
            OpenApiParameter("type", enum=Report.Type.values, description="Only reports of this type"),
        ],
        responses={200: ReportPage},
    )
    def get(self, request: Request) -> HttpResponse:
        query = request.query_params
        refuse_unknown(query, "status", "type")
        rows = self.own(Report.objects.all())
        for name, choices in (("status", Report.Status.values), ("type", Report.Type.values)):
            if (value := filters.choice(query, name, choices)) is not None:
                rows = rows.filter(**{name: value})
        return ApiResponse(page(rows, query, owner=(self.merchant.pk, self.livemode), render=report_resource))


class ReportView(MerchantView):
    """One report."""

    scopes = {"GET": ApiKey.Scope.REPORTS_READ}

    @extend_schema(
        tags=["reports"],
        operation_id="read_report",
        summary="Read a report",
        description="The current state of one report: its progress and, when it is completed, a new download URL.",
        parameters=[OpenApiParameter("report_id", str, OpenApiParameter.PATH, description="`rep_…`")],
        responses={200: ReportObject},
    )
    def get(self, request: Request, report_id: str) -> HttpResponse:
        return ApiResponse(report_resource(self.find(Report.objects.all(), report_id)))


@require_safe
def download(request: HttpRequest, report_id: str) -> HttpResponseBase:
    """The file of a signed download URL, which is valid without an API key for a limited time."""
    signed = f"{report_id}:{request.GET.get('token', '')}"
    try:
        public_id = SIGNER.unsign(signed, max_age=settings.REPORT_LINK_LIFETIME)
    except signing.SignatureExpired:
        return _text_response(410, _("This link has expired. Read the report again to get a new one."))
    except signing.BadSignature:
        return _text_response(404, _("This link does not exist."))
    report = Report.objects.filter(
        public_id=public_id,
        status=Report.Status.COMPLETED,
        removed_at=None,
        expires_at__gt=clock.now(),
        merchant__status=Merchant.Status.ACTIVE,
    ).first()
    try:
        content = path_of(report).open("rb") if report is not None else None
    except FileNotFoundError:
        content = None
    if report is None or content is None:
        return _text_response(410, _("This file has been removed. Order the report again."))
    response = as_download(content, name=file_name(report), content_type=CONTENT_TYPES[Report.Format(report.format)])
    response["Referrer-Policy"] = "no-referrer"
    return response


def _text_response(status: int, text: str) -> HttpResponse:
    return HttpResponse(
        text, status=status, content_type="text/plain; charset=utf-8", headers={"Cache-Control": "no-store"}
    )
