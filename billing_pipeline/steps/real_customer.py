"""Whether a customer can be billed at all, before a person's decision about them is kept."""

from billing_pipeline.problems import UsageError
from billing_pipeline.steps.wiring import Oms


def require_real_customer(oms: Oms, customer_number: str) -> None:
    """Raises: UsageError for a number that the OMS does not have, or has as a test customer; OMS errors."""
    if customer_number not in oms.customer_numbers():
        raise UsageError(
            f"--customer {customer_number}: the OMS has no customer of this number, or a test customer, who is never "
            "billed; correct the number, or the customer in the OMS"
        )
