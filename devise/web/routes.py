"""The addresses of the API: the verbs of the Python API, typed."""

from collections.abc import Sequence
from typing import Annotated, Literal

from devise.errors import unknown
from devise.web import answers
from devise.web.answers import Refused
from devise.web.renditions import SIZES

PICTURE_BODY = {"requestBody": {"required": True, "content": {
    kind: {"schema": {"type": "string", "format": "binary"}}
    for kind in ("image/jpeg", "image/png", "image/webp", "application/octet-stream")}}}
JPEG = {200: {"description": "The copy", "content": {"image/jpeg": {"schema": {"type": "string",
                                                                               "format": "binary"}}}},
        304: {"description": "The copy that is held already is still right"}}
CHANGES = 8  # words that are added, and as many that are taken away
FRESH = "no-store"  # an answer changes with the index


def of(desk):
    """The router of the API, which asks a `devise.web.app.Desk`."""
    import fastapi

    service, limits = desk.service, desk.limits
    spaces = tuple(service.search.indexes)
    K = Annotated[int, fastapi.Query(ge=1, le=limits.k, description="how many")]
    Id = Annotated[int, fastapi.Query(ge=0, description="of a picture of the index")]
    Text = Annotated[str, fastapi.Query(min_length=1, max_length=limits.text, description="a word or a phrase")]
    Texts = Annotated[Sequence[Text], fastapi.Query(max_length=CHANGES, description="words or phrases")]
    Space = Annotated[Literal[spaces] | None, fastapi.Query(description="where to compare; else in the first one")]
    Where = Annotated[str | None, fastapi.Query(max_length=limits.text, description="which pictures may be found, such "
                                                "as taken>=2024-06 and camera~Pixel; all of them without it")]
    Version = Annotated[str | None, fastapi.Query(max_length=64, description="anything: another "
                                                  "one shows a copy anew that a browser holds")]
    Also = Annotated[Sequence[Id], fastapi.Query(max_length=CHANGES, description="pictures of the index that the "
                                                 "answer shall be like too")]

    async def fresh(response: fastapi.Response):
        response.headers["cache-control"] = FRESH

    async def known(request: fastapi.Request):
        names = {field.alias for field in request.scope["route"].dependant.query_params}
        if strange := [name for name in request.query_params if name not in names]:
            raise Refused(422, "wrong_value", unknown("parameter", strange[0], sorted(names)) if names else
                          f"there is no parameter {strange[0]!r}: this address takes none")

    api = fastapi.APIRouter(prefix="/api", dependencies=[fastapi.Depends(fresh), fastapi.Depends(known)],
                            generate_unique_id_function=lambda route: route.name)

    @api.get("/by-text")
    async def by_text(text: Text, also: Also = (), k: K = 24, where: Where = None) -> answers.Found:
        """Pictures for words, compared in the space that they share with them.

        A minus before a word takes it away, as in "beach -people"; dog^2 counts twice; quotes hold a phrase together.
        """
        return await desk.ask(service.by_text, text, k, also, where)

    @api.get("/by-picture")
    async def by_picture(id: Id, k: K = 24, space: Space = None, where: Where = None) -> answers.Found:
        """Pictures like one of the index, which is left out itself."""
        return await desk.ask(service.by_row, id, k, space, where)

    @api.get("/by-change")
    async def by_change(id: Id, plus: Texts = (), minus: Texts = (), k: K = 24, where: Where = None
                        ) -> answers.Found:
        """Pictures like one of the index that is changed by words: more of `plus`, less of `minus`; one or several."""
        return await desk.ask(service.by_change, id, plus, minus, k, where)

    @api.post("/by-picture", openapi_extra=PICTURE_BODY)
    async def by_upload(request: fastapi.Request, k: K = 24, space: Space = None, where: Where = None
                        ) -> answers.Found:
        """Pictures like an uploaded one, whose file is the body. It is not kept."""
        return await desk.ask(service.by_features, await desk.features(request), k, space, where)

    @api.get("/tags")
    async def tags(id: Id, k: K = 10) -> answers.Tags:
        """Names for a picture of the index."""
        return await desk.ask(service.tags, id, k)

    @api.post("/tags", openapi_extra=PICTURE_BODY)
    async def tags_of_upload(request: fastapi.Request, k: K = 10) -> answers.Tags:
        """Names for an uploaded picture, whose file is the body. It is not kept."""
        return await desk.ask(service.tags, await desk.features(request), k)

    @api.get("/by-word")
    async def by_word(word: Text, k: K = 10) -> answers.Words:
        """The words nearest to a word or a phrase."""
        return await desk.ask(service.by_word, word, k)

    @api.get("/similarity")
    async def similarity(first: Id, second: Id, space: Space = None) -> answers.Similarity:
        """The cosine of two pictures of the index."""
        return await desk.ask(service.similarity, first, second, space)

    @api.get("/pictures")
    async def sample(k: K = 24, seed: Annotated[int, fastapi.Query(ge=0, lt=2**32)] = 0) -> answers.Pictures:
        """Some pictures of the index, drawn by a seed."""
        return await desk.ask(service.sample, k, seed)

    @api.get("/pictures/{id}")
    async def picture(id: Annotated[int, fastapi.Path(ge=0)]) -> answers.Picture:
        """A picture of the index: its class, its name, and where a copy is had."""
        return service.picture(id)

    @api.get("/pictures/{id}/image", response_class=fastapi.Response, responses=JPEG)
    async def image(request: fastapi.Request, id: Annotated[int, fastapi.Path(ge=0)],
                    size: Literal[SIZES] = "small", v: Version = None) -> fastapi.Response:
        """A copy of a picture: `small`, with a shorter side of 360 pixels, or `large`, within 1600."""
        service.picture(id)  # refuses an id that is none
        headers = {"etag": service.renditions.etag(id, size), "cache-control": "private, max-age=3600"}
        if request.headers.get("if-none-match") == headers["etag"]:
            return fastapi.Response(status_code=304, headers=headers)
        copy = await desk.copy(id, size)
        if copy.stands_in:
            headers["cache-control"] = FRESH
        return fastapi.Response(copy.content, media_type="image/jpeg", headers=headers | {"etag": copy.etag})

    @api.get("/info")
    async def info() -> answers.Info:
        """What the index is, and what may be asked of it."""
        return await desk.ask(lambda: service.info)

    @api.get("/health")
    async def health(response: fastapi.Response) -> answers.Health:
        """Whether the index answers, with status 503 where it does not, and whether uploads can be looked at yet."""
        told = await desk.health()
        response.status_code = 503 if told.reason else 200
        return told

    return api
