"""Ask the processor for a price before it is needed.

A walk jumps from trade to trade through arrays that do not fit the cache; waiting for memory was more than half of its time.
"""

from typing import Any

import numba
from numba.core import cgutils, types
from numba.extending import intrinsic
from numba.np.arrayobj import make_array

__all__ = ["prefetch"]

ir = cgutils.ir


@intrinsic  # type: ignore[untyped-decorator]
def prefetch(typing_context: Any, array: Any, i: Any, j: Any) -> Any:
    """Bring array[i, j] (array[i] of one dimension) into the cache; nothing is read, so an index beyond the end does no harm."""

    def call(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        view = make_array(signature.args[0])(context, builder, arguments[0])
        strides = cgutils.unpack_tuple(builder, view.strides)
        steps = [builder.mul(index, stride) for index, stride in zip(arguments[1:], strides, strict=False)]
        offset = steps[0] if len(steps) == 1 else builder.add(*steps)
        address = builder.add(builder.ptrtoint(view.data, offset.type), offset)
        byte, flag = ir.IntType(8).as_pointer(), ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [byte, flag, flag, flag])
        function = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
        read, keep, data = (ir.Constant(flag, n) for n in (0, 3, 1))
        builder.call(function, [builder.inttoptr(address, byte), read, keep, data])
        return context.get_dummy_value()

    return types.void(array, types.intp, types.intp), call


def fetch_nothing(array: Any, i: int, j: int) -> None:
    """Stand in where the kernels are stepped through in Python: there is nothing to ask for."""


if numba.config.DISABLE_JIT:
    prefetch = fetch_nothing
