"""The words by which a name is told from the ordinary word that is written alike. All lower case.

Lists of our own, from general knowledge of business news.
"""

from __future__ import annotations

LEGAL_FORMS = frozenset(
    "inc incorporated corp corporation plc ltd limited co holdings ag sa nv se spa ab asa oyj kk "
    "llc lp bhd pte gmbh".split()
)
"""What follows a company's name in registers and first mentions."""

PRICE_VERBS = frozenset(
    "rises falls drops slips slides sinks jumps soars surges climbs gains rallies tumbles plunges "
    "slumps dips edges closes opens ends hits extends rebounds retreats advances declines "
    "trades".split()
)
"""What prices do: said of a company and of an index alike."""

VERBS = frozenset(
    "says said tells told reports reported posts posted announces announced unveils unveiled "
    "launches launched plans expects expected sees warns warned raises lifts hikes boosts "
    "increases cuts trims slashes lowers reduces halves doubles triples keeps maintains reaffirms "
    "confirms narrows widens swings beats tops misses exceeds meets acquires buys sells spins "
    "merges divests invests spends pays owes borrows issues refinances restructures files sues "
    "settles appeals wins loses faces faced admits denies rejects accepts agrees seeks considers "
    "weighs explores eyes targets aims names appoints hires fires ousts promotes replaces taps "
    "lays furloughs closes shuts reopens opens halts pauses suspends resumes delays postpones "
    "recalls withdraws scraps drops abandons shelves exits enters joins leaves quits expands "
    "builds develops makes produces ships delivers supplies signs secures lands bags clinches gets "
    "receives starts begins ends stops bans allows adds removes offers bids outbids outsells "
    "overtakes trails lags leads rejoins teams partners forms splits lists delists debuts "
    "relocates moves takes holds owns reshuffles reorganizes overhauls revamps rebrands rolls "
    "unwinds writes books records earns charges defends blames accuses urges asks wants needs "
    "hopes fails suffers struggles slows grows shrinks shares discloses reveals publishes updates "
    "revises guides forecasts predicts pledges promises commits donates chooses picks selects "
    "awards orders calls returns repays raised upgrades downgrades reiterates initiates".split()
) | frozenset("acquired sued bought hired fined appointed agreed rejected".split())
"""What a company does, in the third person of headlines; plural nouns cannot follow so."""

OBJECTS = frozenset("a an the its another more all new two three four up out".split())
"""What follows a verb in -s, listed or not, and seldom a plural: Amazon rents another."""

INFINITIVES = frozenset(
    "acquire buy sell cut close shut open launch pay hire invest build raise lift lower reduce "
    "spend split spin list delist merge divest exit enter expand halt suspend resume stop start "
    "begin join leave move replace appoint name sue settle appeal offer issue borrow recall lay "
    "slash trim boost double shed axe fire outsource outsell supply ship deliver make produce "
    "develop test unveil report announce post restructure refinance file seek return repay "
    "license sponsor rebrand create add scrap end drop idle convert export import fight defend "
    "contest release introduce bring stream roll phase simplify separate overhaul".split()
)
"""What a company is ``to`` do: Target to close nine stores."""

NOUNS = frozenset(
    "share shares stock stocks bond bonds earnings profit profits loss losses revenue revenues "
    "sales turnover margin margins dividend buyback ipo results guidance outlook forecast debt "
    "ceo cfo coo cto chief chairman chairwoman chair boss founder co-founder president executive "
    "executives director directors board management spokesman spokeswoman spokesperson "
    "shareholder shareholders investor investors bondholders creditors analyst analysts "
    "strategist economist employees employee staff workers worker engineers "
    "suppliers supplier customers dealers franchisees pilots unit subsidiary arm division "
    "headquarters plant plants factory factories store stores shops warehouse "
    "warehouses refinery smartphone smartphones tablet laptop laptops app deal merger takeover "
    "acquisition buyout bid stake deliveries shipments valuation brand brands "
    "lawsuit antitrust layoffs users subscribers chips chipmaker cloud network "
    "q1 q2 q3 q4 h1 h2 fy quarterly first-quarter second-quarter third-quarter fourth-quarter "
    "full-year half-year net operating pre-tax jewellery trading slump performance volumes fpo "
    "verdict upgrade downgrade services".split()
)
"""What a company has: Visa profit, Apple chief, Titan Q3."""

BEFORE = frozenset(
    "maker giant retailer chain rival rivals peer competitor lender insurer carmaker automaker "
    "chipmaker drugmaker airline carrier operator supplier owner parent subsidiary brand unit "
    "group firm company conglomerate bank major miner producer manufacturer shareholder partner "
    "customer sues acquires buys fines upgrades downgrades overtakes joins leaves quits owns "
    "probes accuses outsells topples beats backs snubs nasdaq-listed london-listed "
    "heavyweight sell buy hold prefer accumulate".split()
)
"""What comes right before a company: fashion retailer Gap, EU fines Apple."""

STAKES = frozenset(
    "shares share stake stakes stock investors investor holding position ceo chairman boss head "
    "chief director founder owner maker parent acquisition takeover purchase sale analysts "
    "analyst workers employees customers neutral positive negative bullish bearish overweight "
    "underweight".split()
)
"""What a company's name follows with ``of``, ``in``, ``at`` or ``on``: shares in Target."""

LINKING_WORDS = frozenset(
    "of in at by from for with to and or as than over against like via versus vs between after "
    "& , / on include including includes".split()
)
"""Small words after which a capital letter, where others are small, makes a name likely."""

DETERMINERS = frozenset(
    "the a an this that these those his her their our your my its no any each every some "
    "another one first second third new".split()
)
"""Words after which a name that is also a word is that word: the gap, a visa."""

OPENERS = frozenset(
    "will can could should has have is does did do may would was were had former why how what "
    "when who if even only while because but though although since despite not how's ex late once "
    "both just now then also so yet meanwhile inside behind around amid before beyond under today "
    "yesterday us uk eu uk's us's eu's".split()
)
"""Words with a capital, at the start of a sentence, that are no part of the name after them."""

COMPOUNDS = frozenset("supplier owned backed operated led branded run controlled listed".split())
"""Second halves that go with a company: Apple-supplier, Shell-operated."""

VENUES = frozenset(
    "foundation center centre stadium arena museum prize cup trophy championship institute "
    "university college library theatre theater tower hall street avenue marathon ballroom "
    "scholarship fellowship pavilion open classic invitational".split()
)
"""What bears a company's name and is no company; capital letters mark them."""

SPORT = frozenset(
    "f1 podium pole qualifying lap laps driver drivers race races racing team-mate wicket wickets "
    "innings goal goals striker midfielder coach batsman bowler ipl cricket football olympics "
    "olympic grand-prix formula".split()
)
"""Words by which a story is about sport."""

GIVEN_NAMES = frozenset(
    "aaron abraham adam aditya adrian ajay alan albert alex alexander alfred alice amit amy "
    "andre andrew andy angela anil anita ann anna anne anthony antonio arjun arthur arun ashok "
    "barbara ben benjamin bernard betty bob brad brian bruce carl carlos carol caroline "
    "catherine charles charlie charlotte chris christian christine christopher cindy claire "
    "clara clint colin craig cynthia dan daniel dave david deborah deepak dennis diana diane "
    "donald doug douglas dwight ed edward eleanor elizabeth ellen emily emma enzo eric erin eva "
    "evan fiona francis fred frederick gary geoff george gerald glenn gordon greg gregory "
    "harold harrison harry harvey heather helen henry herbert howard hugh ian irene isaac jack "
    "jacob james jamie jane janet jason jean jeff jeffrey jennifer jerry jessica jim jimmy joan "
    "joe john jonathan jordan joseph joshua juan judith julia julian karen karl kate katherine "
    "kathy keith kelly ken kenneth kevin kim klaus kumar kyle larry laura lauren laurence lee "
    "leo leon leonard lewis lily linda lisa louis louise lucy luis luke margaret maria marie "
    "marilyn mario martha martin mary matt matthew maurice max megan michael michelle mike "
    "mohamed mohammed monica mukesh nancy naomi naresh nathan neil nicholas nick nicole nigel "
    "nikola noah norman oliver oscar pamela pat patricia patrick paul paula pedro peter philip "
    "pierre priya rachel rahul raj rajesh ralph ramesh ray raymond rebecca richard rita robert "
    "roger roland ronald rosa ross roy russell ruth ryan sam samantha samuel sandra sanjay sara "
    "sarah scott sean sharon simon sofia sophie stefan stephanie stephen steve steven stuart "
    "sue sunil susan suzanne sylvia taylor ted teresa terry theresa thomas tim timothy tina "
    "todd tom tony tracy victor victoria vijay vincent walter warren wayne wendy william "
    "zachary zoe".split()
)
"""First names that are hardly anything else; a single name after one is a person's."""

CAPITAL_IS_NOT_ENOUGH = frozenset(
    "next best-buy block snap total sea grab gap zoom progressive travelers workday continental "
    "southwest paramount lucid sail coke dow titan target reliance bob vale carnival whirlpool "
    "occidental cathay pearson hilton abbott berkshire hershey ferrari mercedes emerson corning "
    "cummins britannia".split()
)
"""Names for which a capital in mid-sentence says too little: words that headlines often
capitalise, places and persons."""

INDICES = frozenset({"dow"})
"""Names that are mostly an index: what prices do is no evidence for the company."""

SURNAMES = frozenset(
    "singh sharma gupta kumar mehta patel shah jain rao reddy verma nair iyer das roy khan mishra "
    "agarwal joshi desai chopra kapoor malhotra bhatt sinha".split()
)
"""Surnames after initials: BP Singh is a person."""

MARKETS = {
    "India": frozenset(
        "rs rs. crore cr lakh sensex nifty bse nse sebi psu psus rupee inr fpo dalal mumbai "
        "delhi fmcg disinvestment pat".split()
    ),
}
"""Words of one country's market, by country: they speak for that country's companies that are
known by initials."""

WORDS_IN_LOWER_CASE = frozenset(
    {
        "google", "intuit", "chevron", "salesforce", "swatch", "vedanta", "applied materials",
        "analog devices", "american airlines", "western digital", "general electric", "pinterest",
        "indian oil", "asian paints", "life insurance corporation", "sumitomo mitsui",
    }
)  # fmt: skip
"""Unambiguous names that are words of another meaning, or verbs, when written small."""

BROKERS = frozenset(
    "goldman-sachs morgan-stanley jpmorgan-chase bank-of-america citigroup wells-fargo jefferies "
    "ubs barclays hsbc deutsche-bank bnp-paribas societe-generale nomura macquarie mizuho "
    "royal-bank-of-canada standard-chartered ing unicredit santander commerzbank dbs "
    "kotak-mahindra-bank s-and-p-global moodys toronto-dominion-bank credit-agricole".split()
)
"""Ids of companies that are often quoted about others."""

BROKER_TALK = frozenset(
    "analyst analysts strategist strategists economist economists says said sees expects upgrades "
    "downgrades reiterates initiates maintains keeps rates starts note forecasts predicts lifts "
    "raises cuts trims lowers hikes upgraded downgraded recommends ups resumes neutral overweight "
    "underweight bullish bearish sceptical positive negative prefers bets".split()
)
"""What follows a broker that speaks of another company."""

RATING = frozenset(
    "upgrades downgrades upgraded downgraded reiterates initiates neutral overweight underweight "
    "bullish bearish sceptical upgrade downgrade sees forecasts predicts report".split()
)
"""What follows a broker or an agency that speaks, whether it names a known company or none."""

BROKER_PEOPLE = frozenset("analyst analysts strategist strategists economist economists".split())
